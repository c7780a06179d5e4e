//! `config` and `host add`: what needs only the file.

use crate::environment::{Environment, TWO_HOSTS};

#[test]
fn a_new_file_validates_and_has_its_fleet() {
    let environment = Environment::new();
    let made = environment.foundry(
        "config init --name demo --domain example.com --host node1=root@192.0.2.1 --vip 192.0.2.100 -o json",
    );
    let made = made.with(0).json();
    let fleet = made["fleet"].as_str().unwrap().to_owned();
    assert!(fleet.starts_with("demo-"), "{fleet}");
    assert!(
        environment
            .home()
            .join("fleets")
            .join(&fleet)
            .join("ca")
            .is_dir()
    );
    environment.foundry("config validate").with(0).says("valid");
    let shown = environment.foundry("config show -o json").with(0).json();
    assert_eq!(shown["fleet"], fleet.as_str());
    assert_eq!(shown["hosts"][0]["user"], "root");
}

#[test]
fn a_file_that_is_there_is_written_over_only_by_force() {
    let environment = Environment::new();
    environment.foundry("config init --name demo").with(0);
    let before = environment.read("home/stack.yaml");
    environment
        .foundry("config init --name other")
        .with(2)
        .says("--force");
    assert_eq!(environment.read("home/stack.yaml"), before);
    environment
        .foundry("config init --name other --force")
        .with(0);
    assert!(environment.read("home/stack.yaml").contains("name: other"));
}

#[test]
fn answers_that_make_no_file_leave_nothing() {
    let environment = Environment::new();
    environment
        .foundry("config init")
        .with(2)
        .says("--name NAME");
    environment
        .foundry("config init --name demo --vip nonsense")
        .with(2)
        .says("not an IP address");
    environment
        .foundry("config init --name demo --host nonsense")
        .with(2)
        .says("NAME=ADDRESS");
    environment.foundry("config init --name -demo-").with(2);
    assert!(!environment.home().exists());
}

#[test]
fn a_host_is_added_and_the_rest_stays() {
    let environment = Environment::with_stack(&format!("# ours\n{TWO_HOSTS}"));
    environment
        .foundry("host add node3 192.0.2.3 --user admin --port 2222")
        .with(0);
    let text = environment.read("stack.yaml");
    assert!(text.starts_with(&format!("# ours\n{TWO_HOSTS}")), "{text}");
    let shown = environment.foundry("config show -o json").with(0).json();
    assert_eq!(shown["hosts"][2]["port"], 2222);
    environment
        .foundry("host add node3 192.0.2.9")
        .with(2)
        .says("already");
    environment
        .foundry("host add node4 user@192.0.2.9")
        .with(2)
        .says("user");
    assert_eq!(environment.read("stack.yaml"), text);
}

#[test]
fn yaml_says_what_json_says() {
    let environment = Environment::with_stack(TWO_HOSTS);
    let shown = environment.foundry("status -o yaml").with(3);
    insta::assert_snapshot!(shown.stdout, @r#"
    overall: unknown
    hosts:
    - name: node1
      address: "192.0.2.1"
      state: not_enrolled
      age_ms: null
      agent_version: null
      assignments: []
      message: null
    - name: node2
      address: "192.0.2.2"
      state: not_enrolled
      age_ms: null
      agent_version: null
      assignments: []
      message: null
    components: []
    "#);
}
