//! `stack` on a file whose hosts are all bare: nothing is made before the user agrees.

use crate::environment::{Environment, TWO_HOSTS};

const SERVICE: &str = "\
services:
  - name: whoami
    image: localhost/whoami:1
    image_archive: ./whoami.tar
    hosts: [node1]
";

const PULLED: &str = "\
services:
  - name: whoami
    image: docker.io/traefik/whoami:v1.11
    hosts: [node1]
    ports: [\"8080:80\"]
";

#[test]
fn a_plan_needs_no_state_and_makes_none() {
    let environment = Environment::with_stack(&format!("{TWO_HOSTS}{PULLED}"));
    let planned = environment.foundry("stack plan").with(0);
    insta::assert_snapshot!(planned.stdout);
    environment.foundry("stack plan --exit-code").with(4);
    let json = environment.foundry("stack plan -o json").with(0).json();
    assert_eq!(json["enrol"], serde_json::json!(["node1", "node2"]));
    assert!(!environment.home().exists());
    assert!(!environment.read("stack.yaml").contains("fleet:"));
}

#[test]
fn nothing_prompts_without_a_terminal() {
    let environment = Environment::with_stack(TWO_HOSTS);
    let ended = environment.foundry("stack install").with(2).says("--yes");
    assert!(
        ended.stderr.contains("to enrol"),
        "the plan is shown: {ended:#?}"
    );
    assert!(!environment.home().exists());
    assert!(!environment.read("stack.yaml").contains("fleet:"));
}

#[test]
fn a_selector_that_matches_nothing_is_an_error() {
    let environment = Environment::with_stack(&format!("{TWO_HOSTS}{PULLED}"));
    environment
        .foundry("stack plan --host node3")
        .with(2)
        .says("node3");
    environment
        .foundry("stack install --yes --service whoam")
        .with(2)
        .says("`whoami`");
    environment.foundry("status --host nodel").with(2);
    environment
        .foundry("host bootstrap nobody")
        .with(2)
        .says("nobody");
    assert!(!environment.home().exists());
}

#[test]
fn an_archive_that_is_missing_or_no_image_is_named_with_its_line() {
    let environment = Environment::with_stack(&format!("{TWO_HOSTS}{SERVICE}"));
    let ended = environment.foundry("stack plan").with(2);
    let ended = ended
        .says("stack.yaml:12:")
        .says("./whoami.tar")
        .says("docker save");
    assert!(ended.stderr.contains("No such file"), "{ended:#?}");
    environment.write("whoami.tar", "no archive at all");
    environment
        .foundry("stack install --yes")
        .with(2)
        .says("tar archive");
    assert!(!environment.home().exists());
}

#[test]
fn what_was_never_installed_is_not_looked_for() {
    let environment = Environment::with_stack(TWO_HOSTS);
    environment
        .foundry("stack uninstall --yes")
        .with(0)
        .says("nothing to change");
    environment
        .foundry("runs list -o json")
        .with(0)
        .says("\"runs\": []");
    environment.foundry("runs show r-1").with(2);
    environment.foundry("events").with(0);
    environment
        .foundry("host list")
        .with(0)
        .says("not enrolled");
    environment
        .foundry("controller status")
        .with(0)
        .says("not running");
    environment.foundry("host remove node2 --yes").with(0);
    environment.foundry("host remove node2 --yes").with(2);
    assert!(!environment.home().exists());
}

#[test]
fn a_service_is_listed_with_its_hosts() {
    let environment = Environment::with_stack(&format!("{TWO_HOSTS}{PULLED}"));
    let json = environment.foundry("service list -o json").with(0).json();
    assert_eq!(
        json["services"][0]["hosts"][0]["host_state"],
        "not_enrolled"
    );
    assert_eq!(
        json["services"][0]["image"],
        "docker.io/traefik/whoami:v1.11"
    );
}
