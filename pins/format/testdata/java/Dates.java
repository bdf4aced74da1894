import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.text.ParseException;
import java.text.SimpleDateFormat;
import java.util.Date;

/** Reads lines as Android's network security configuration reads the attribute expiration. */
final class Dates {
  public static void main(String[] args) throws Exception {
    SimpleDateFormat format = new SimpleDateFormat("yyyy-MM-dd");
    format.setLenient(false);
    SimpleDateFormat plain = new SimpleDateFormat("y-M-d");
    BufferedReader in = new BufferedReader(new InputStreamReader(System.in));
    for (String line; (line = in.readLine()) != null; ) {
      String answer = "none";
      try {
        Date date = format.parse(line);
        answer = plain.format(date);
      } catch (ParseException e) {
        // no date
      }
      System.out.println(answer);
    }
  }
}
