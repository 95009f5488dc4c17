import com.ctrip.framework.apollo.Config;
import com.ctrip.framework.apollo.ConfigService;
import com.ctrip.framework.apollo.enums.PropertyChangeType;
import com.ctrip.framework.apollo.model.ConfigChange;
import com.ctrip.framework.apollo.openapi.client.ApolloOpenApiClient;
import com.ctrip.framework.apollo.openapi.client.exception.ApolloOpenApiException;
import com.ctrip.framework.apollo.openapi.dto.NamespaceReleaseDTO;
import com.ctrip.framework.apollo.openapi.dto.OpenItemDTO;
import com.ctrip.framework.apollo.openapi.dto.OpenReleaseDTO;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.TimeUnit;

/**
 * Apollo's own Java clients, of configuration and of the open API, against the stand-in for Apollo. Prints one line per
 * test, {@code ok NAME} or {@code FAILED NAME: reason}. Where Apollo is stands in system properties: the client's own,
 * and {@code portal}, {@code token}, {@code env} and {@code user}.
 */
public final class ApolloClients {
  private static final String CLUSTER = "default";
  private static final String NAMESPACE = "application";
  private static final String APP = System.getProperty("app.id");
  private static final String ENV = System.getProperty("env");
  private static final String USER = System.getProperty("user");

  private final BlockingQueue<ConfigChange> changes = new LinkedBlockingQueue<>();
  private final ApolloOpenApiClient portal = portal(System.getProperty("token"));
  private Config config;

  interface Test {
    void run() throws Exception;
  }

  public static void main(String[] args) {
    ApolloClients tests = new ApolloClients();
    if (args.length > 0 && args[0].equals("with-a-wrong-access-key")) {
      test("a wrong access key reads nothing", tests::readsNothing);
    } else {
      test("reads with an access key", tests::reads);
      test("hears of a change", tests::hearsOfAChange);
      test("hears of an addition and a deletion", tests::hearsOfAdditionAndDeletion);
      test("reads items through the open API", tests::readsThroughTheOpenApi);
      test("a token that nobody has is refused", tests::refusesTheToken);
    }
    System.exit(0);
  }

  private void reads() {
    config = ConfigService.getConfig(NAMESPACE);
    config.addChangeListener(
        event -> event.changedKeys().forEach(key -> changes.add(event.getChange(key))));
    equal("hello", config.getProperty("greeting", "nothing"));
  }

  private void hearsOfAChange() throws Exception {
    save("greeting", "bonjour");
    release();
    heard("greeting", PropertyChangeType.MODIFIED, "bonjour");
    equal("bonjour", config.getProperty("greeting", "nothing"));
  }

  private void hearsOfAdditionAndDeletion() throws Exception {
    save("fruit@$ripe", "apple");
    release();
    heard("fruit@$ripe", PropertyChangeType.ADDED, "apple");
    portal.removeItem(APP, ENV, CLUSTER, NAMESPACE, "fruit@$ripe", USER);
    OpenReleaseDTO released = release();
    equal("bonjour", released.getConfigurations().get("greeting"));
    heard("fruit@$ripe", PropertyChangeType.DELETED, null);
  }

  private void readsThroughTheOpenApi() {
    equal("bonjour", portal.getItem(APP, ENV, CLUSTER, NAMESPACE, "greeting").getValue());
    equal(null, portal.getItem(APP, ENV, CLUSTER, NAMESPACE, "absent"));
    equal(1, portal.findItemsByNamespace(APP, ENV, CLUSTER, NAMESPACE, 0, 10).getContent().size());
    equal(1, portal.getNamespace(APP, ENV, CLUSTER, NAMESPACE).getItems().size());
    equal(CLUSTER, portal.getCluster(APP, ENV, CLUSTER).getName());
    equal(ENV, portal.getEnvClusterInfo(APP).get(0).getEnv());
    equal("bonjour",
        portal.getLatestActiveRelease(APP, ENV, CLUSTER, NAMESPACE).getConfigurations().get("greeting"));
  }

  private void refusesTheToken() {
    try {
      portal("nobody's").getItem(APP, ENV, CLUSTER, NAMESPACE, "greeting");
    } catch (RuntimeException refused) {
      equal(401, ((ApolloOpenApiException) refused.getCause()).getStatus());
      return;
    }
    throw new AssertionError("it was taken");
  }

  private void readsNothing() {
    equal("nothing", ConfigService.getConfig(NAMESPACE).getProperty("greeting", "nothing"));
  }

  private void save(String key, String value) {
    OpenItemDTO item = new OpenItemDTO();
    item.setKey(key);
    item.setValue(value);
    item.setDataChangeCreatedBy(USER);
    item.setDataChangeLastModifiedBy(USER);
    portal.createOrUpdateItem(APP, ENV, CLUSTER, NAMESPACE, item);
  }

  private OpenReleaseDTO release() {
    NamespaceReleaseDTO release = new NamespaceReleaseDTO();
    release.setReleaseTitle("by a test");
    release.setReleasedBy(USER);
    return portal.publishNamespace(APP, ENV, CLUSTER, NAMESPACE, release);
  }

  private void heard(String key, PropertyChangeType type, String value) throws InterruptedException {
    ConfigChange change = changes.poll(20, TimeUnit.SECONDS);
    if (change == null) throw new AssertionError("no change of " + key + " within 20 s");
    equal(key, change.getPropertyName());
    equal(type, change.getChangeType());
    equal(value, change.getNewValue());
  }

  private static ApolloOpenApiClient portal(String token) {
    return ApolloOpenApiClient.newBuilder()
        .withPortalUrl(System.getProperty("portal"))
        .withToken(token)
        .build();
  }

  private static void equal(Object wanted, Object found) {
    if (!java.util.Objects.equals(wanted, found)) {
      throw new AssertionError("expected " + wanted + ", found " + found);
    }
  }

  private static void test(String name, Test test) {
    try {
      test.run();
      System.out.println("ok " + name);
    } catch (Throwable failure) {
      System.out.println("FAILED " + name + ": " + failure);
    }
  }
}
