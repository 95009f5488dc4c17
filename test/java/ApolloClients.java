import com.ctrip.framework.apollo.Config;
import com.ctrip.framework.apollo.ConfigService;
import com.ctrip.framework.apollo.openapi.client.ApolloOpenApiClient;
import com.ctrip.framework.apollo.openapi.dto.NamespaceReleaseDTO;
import com.ctrip.framework.apollo.openapi.dto.OpenAppNamespaceDTO;
import com.ctrip.framework.apollo.openapi.dto.OpenItemDTO;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.TimeUnit;

/**
 * Reads a configuration and hears of its changes with Apollo's own client, changes it with Apollo's own client of the
 * open API, and prints a line about each.
 *
 * <p>Arguments: address of the open API, its token, the app. Where to read from is in the system properties.
 */
public class ApolloClients {
  private static final String ENV = "DEV";
  private static final String CLUSTER = "default";
  private static final String NAMESPACE = "application";

  private final ApolloOpenApiClient openApi;
  private final String app;

  private ApolloClients(String address, String token, String app) {
    this.openApi = ApolloOpenApiClient.newBuilder().withPortalUrl(address).withToken(token).build();
    this.app = app;
  }

  public static void main(String[] args) throws Exception {
    new ApolloClients(args[0], args[1], args[2]).run();
    // The clients' threads would keep the program.
    System.exit(0);
  }

  private void run() throws Exception {
    Config config = ConfigService.getAppConfig();
    System.out.println("read " + config.getProperty("timeout", "nothing"));

    BlockingQueue<String> changes = new LinkedBlockingQueue<>();
    config.addChangeListener(
        event -> {
          for (String key : event.changedKeys()) {
            var change = event.getChange(key);
            changes.add(
                change.getChangeType() + " " + key + " " + change.getOldValue() + " " + change.getNewValue());
          }
        });

    OpenItemDTO item = new OpenItemDTO();
    item.setKey("timeout");
    item.setValue("200");
    item.setDataChangeCreatedBy("tester");
    item.setDataChangeLastModifiedBy("tester");
    openApi.createOrUpdateItem(app, ENV, CLUSTER, NAMESPACE, item);
    release("changed");
    System.out.println(next(changes));

    item.setKey("greeting@$v1");
    item.setValue("h\u00e9llo");
    openApi.createItem(app, ENV, CLUSTER, NAMESPACE, item);
    release("added");
    System.out.println(next(changes));

    openApi.removeItem(app, ENV, CLUSTER, NAMESPACE, "timeout", "tester");
    System.out.println("items " + openApi.getNamespace(app, ENV, CLUSTER, NAMESPACE).getItems().size());
    release("removed");
    System.out.println(next(changes));

    OpenAppNamespaceDTO namespace = new OpenAppNamespaceDTO();
    namespace.setName("sidecar_config_tags");
    namespace.setAppId(app);
    namespace.setDataChangeCreatedBy("tester");
    openApi.createAppNamespace(namespace);
    System.out.println("namespaces created");
  }

  private void release(String title) {
    NamespaceReleaseDTO release = new NamespaceReleaseDTO();
    release.setReleaseTitle(title);
    release.setReleasedBy("tester");
    openApi.publishNamespace(app, ENV, CLUSTER, NAMESPACE, release);
  }

  private static String next(BlockingQueue<String> changes) throws InterruptedException {
    String change = changes.poll(30, TimeUnit.SECONDS);
    return change == null ? "no change in 30 s" : change;
  }
}
