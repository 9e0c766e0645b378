import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.CountDownLatch;
import java.util.function.Predicate;
import org.elasticsearch.bootstrap.BootstrapInfo;
import org.elasticsearch.common.logging.LogConfigurator;
import org.elasticsearch.common.settings.Settings;
import org.elasticsearch.env.Environment;
import org.elasticsearch.node.Node;
import org.elasticsearch.plugins.PluginBundle;
import org.elasticsearch.plugins.PluginDescriptor;
import org.elasticsearch.plugins.PluginsLoader;
import org.elasticsearch.plugins.PluginsUtils;

/**
 * One Elasticsearch node in this process, made of the server's own jars: what the distribution's launcher does, without
 * its checks of the machine. Arguments: a directory with `modules/`, a directory for data, settings as `name=value`.
 */
final class TestNode {
  public static void main(String[] arguments) throws Exception {
    Path home = Path.of(arguments[0]);
    Path data = Path.of(arguments[1]);
    Settings.Builder builder = Settings.builder()
        .put("path.home", home)
        .put("path.data", data)
        .put("path.logs", data.resolve("logs"))
        .put("network.host", "127.0.0.1")
        .put("transport.port", "0")
        .put("discovery.type", "single-node")
        // The disk of a build machine may be almost full.
        .put("cluster.routing.allocation.disk.threshold_enabled", false)
        .put("logger.level", "WARN");
    for (int i = 2; i < arguments.length; i++) {
      String[] setting = arguments[i].split("=", 2);
      builder.put(setting[0], setting[1]);
    }
    Settings settings = builder.build();
    Environment environment = new Environment(settings, Files.createDirectories(data.resolve("config")));
    LogConfigurator.configureESLogging();
    LogConfigurator.configureWithoutConfig(settings);
    BootstrapInfo.init();
    PluginsLoader plugins =
        PluginsLoader.createPluginsLoader(modules(environment.modulesDir()), Set.of(), Map.of(), false);
    Node node = new Node(environment, plugins);
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

  /** Version 9 can leave modules out, and wants to be told that none are. */
  @SuppressWarnings("unchecked")
  private static Set<PluginBundle> modules(Path directory) throws Exception {
    for (var method : PluginsUtils.class.getMethods()) {
      if (!method.getName().equals("getModuleBundles")) continue;
      Predicate<PluginDescriptor> all = each -> true;
      boolean isOld = method.getParameterCount() == 1;
      return (Set<PluginBundle>) (isOld ? method.invoke(null, directory) : method.invoke(null, directory, all));
    }
    throw new IllegalStateException("this version of Elasticsearch finds its modules in another way");
  }
}
