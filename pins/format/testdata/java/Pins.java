import java.lang.reflect.Field;
import java.lang.reflect.Method;
import java.util.Set;
import java.util.TreeSet;
import okhttp3.CertificatePinner;

/**
 * Says which pins programs end up with. Each argument is a class, whose static method
 * used() returns a pinner; each is answered by one line of "pattern pin" which tabs
 * part, or "!" and the class of what was thrown.
 */
public final class Pins {
    public static void main(String[] classes) {
        for (String name : classes) {
            try {
                System.out.println(String.join("\t", pins(name)));
            } catch (Throwable e) {
                Throwable cause = e;
                while (cause.getCause() != null) {
                    cause = cause.getCause();
                }
                System.out.println("!" + cause.getClass().getSimpleName());
            }
        }
    }

    private static Set<String> pins(String name) throws Exception {
        Method used = Class.forName(name).getDeclaredMethod("used");
        used.setAccessible(true);
        Object pinner = used.invoke(null);
        Field pins = CertificatePinner.class.getDeclaredField("pins");
        pins.setAccessible(true);
        Set<String> out = new TreeSet<>();
        for (Object pin : (Set<?>) pins.get(pinner)) {
            Field pattern = pin.getClass().getDeclaredField("pattern");
            pattern.setAccessible(true);
            out.add(pattern.get(pin) + " " + pin);
        }
        return out;
    }
}
