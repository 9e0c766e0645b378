import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.concurrent.CountDownLatch;
import org.codelibs.opensearch.runner.node.OpenSearchRunnerNode;
import org.opensearch.common.settings.Settings;
import org.opensearch.env.Environment;
import org.opensearch.node.Node;
import org.opensearch.plugins.Plugin;

/** One OpenSearch node in this process. Arguments: a directory for data, settings as `name=value`. */
final class TestNode {
  public static void main(String[] arguments) throws Exception {
    Path data = Path.of(arguments[0]);
    Settings.Builder builder = Settings.builder()
        .put("path.home", data)
        .put("path.data", data.resolve("data"))
        .put("path.logs", data.resolve("logs"))
        .put("network.host", "127.0.0.1")
        .put("transport.port", "0")
        .put("discovery.type", "single-node")
        // The disk of a build machine may be almost full.
        .put("cluster.routing.allocation.disk.threshold_enabled", false);
    for (int i = 1; i < arguments.length; i++) {
      String[] setting = arguments[i].split("=", 2);
      builder.put(setting[0], setting[1]);
    }
    Environment environment = new Environment(builder.build(), Files.createDirectories(data.resolve("config")));
    Node node = new OpenSearchRunnerNode(environment, List.of(transport()));
    Runtime.getRuntime().addShutdownHook(new Thread(() -> {
      try {
        node.close();
      } catch (Exception e) {
        e.printStackTrace();
      }
    }));
    node.start();
    new CountDownLatch(1).await();
  }

  /** Version 3 has another name for it than version 2. */
  @SuppressWarnings("unchecked")
  private static Class<? extends Plugin> transport() throws ClassNotFoundException {
    try {
      return (Class<? extends Plugin>) Class.forName("org.opensearch.transport.Netty4ModulePlugin");
    } catch (ClassNotFoundException e) {
      return (Class<? extends Plugin>) Class.forName("org.opensearch.transport.Netty4Plugin");
    }
  }
}
