import java.io.BufferedReader;
import java.io.FileInputStream;
import java.io.InputStream;
import java.io.InputStreamReader;
import java.net.InetAddress;
import java.net.Proxy;
import java.nio.charset.StandardCharsets;
import java.security.KeyStore;
import java.security.cert.Certificate;
import java.security.cert.CertificateFactory;
import java.util.ArrayList;
import java.util.Collections;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import javax.net.ssl.SSLContext;
import javax.net.ssl.TrustManagerFactory;
import javax.net.ssl.X509TrustManager;
import okhttp3.CertificatePinner;
import okhttp3.OkHttpClient;
import okhttp3.Request;
import okhttp3.Response;

/**
 * Asks OkHttp what it accepts. Each line of the standard input is a command, whose
 * words tabs part; each is answered by one line: "ok", or the class of what was thrown.
 *
 * <pre>
 * trust    FILE                            the CA whose servers are trusted
 * chain    NAME FILE                       a chain for check
 * connect  EXPORT HOST PORT                a request to a server on the loopback interface
 * check    CHAIN HOST PATTERN PIN [PATTERN PIN]...
 * </pre>
 */
public final class Client {
    private static final Map<String, List<Certificate>> chains = new HashMap<>();
    private static SSLContext context;
    private static X509TrustManager trusted;

    public static void main(String[] args) throws Exception {
        BufferedReader in = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
        for (String line = in.readLine(); line != null; line = in.readLine()) {
            String answer = "ok";
            try {
                run(line.split("\t"));
            } catch (Exception e) {
                answer = e.getClass().getSimpleName();
            }
            System.out.println(answer);
        }
        System.exit(0); // without waiting for idle connections
    }

    private static void run(String[] words) throws Exception {
        switch (words[0]) {
            case "trust":
                trust(words[1]);
                break;
            case "chain":
                chains.put(words[1], certificates(words[2]));
                break;
            case "connect":
                connect(Exports.pinner(Integer.parseInt(words[1])), words[2], words[3]);
                break;
            case "check":
                CertificatePinner.Builder builder = new CertificatePinner.Builder();
                for (int i = 3; i + 1 < words.length; i += 2) {
                    builder.add(words[i], words[i + 1]);
                }
                builder.build().check(words[2], chains.get(words[1]));
                break;
            default:
                throw new UnsupportedOperationException(words[0]);
        }
    }

    private static List<Certificate> certificates(String file) throws Exception {
        try (InputStream in = new FileInputStream(file)) {
            return new ArrayList<>(CertificateFactory.getInstance("X.509").generateCertificates(in));
        }
    }

    private static void trust(String file) throws Exception {
        KeyStore store = KeyStore.getInstance(KeyStore.getDefaultType());
        store.load(null, null);
        store.setCertificateEntry("ca", certificates(file).get(0));
        TrustManagerFactory factory = TrustManagerFactory.getInstance(TrustManagerFactory.getDefaultAlgorithm());
        factory.init(store);
        trusted = (X509TrustManager) factory.getTrustManagers()[0];
        context = SSLContext.getInstance("TLS");
        context.init(null, new X509TrustManager[] {trusted}, null);
    }

    private static void connect(CertificatePinner pinner, String host, String port) throws Exception {
        OkHttpClient client = new OkHttpClient.Builder()
            .certificatePinner(pinner)
            .sslSocketFactory(context.getSocketFactory(), trusted)
            .dns(name -> Collections.singletonList(InetAddress.getByAddress(name, new byte[] {127, 0, 0, 1})))
            .proxy(Proxy.NO_PROXY)
            .build();
        Request request = new Request.Builder().url("https://" + host + ":" + port + "/").build();
        try (Response response = client.newCall(request).execute()) {
            response.body().string();
        }
        client.connectionPool().evictAll();
        client.dispatcher().executorService().shutdown();
    }
}
