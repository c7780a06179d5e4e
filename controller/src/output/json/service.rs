//! The services of the file, each on each of its hosts.

use serde::Serialize;

use super::status::AssignmentDocument;

/// `service list`.
#[derive(Debug, Clone, Serialize)]
pub struct ServicesDocument {
    /// In the order of the file.
    pub services: Vec<ServiceDocument>,
}

/// A service.
#[derive(Debug, Clone, Serialize)]
pub struct ServiceDocument {
    /// Its name.
    pub name: String,
    /// What it runs.
    pub image: String,
    /// As the file has them.
    pub ports: Vec<String>,
    /// Where it runs.
    pub hosts: Vec<PlacementDocument>,
}

/// A service on one host.
#[derive(Debug, Clone, Serialize)]
pub struct PlacementDocument {
    /// The host.
    pub host: String,
    /// The host's own state, as in `status`.
    pub host_state: &'static str,
    /// The service's assignment there; none where the fleet knows of none.
    pub assignment: Option<AssignmentDocument>,
}

#[cfg(test)]
pub(crate) mod tests {
    use super::{PlacementDocument, ServiceDocument, ServicesDocument};
    use crate::output::json::status;

    pub(crate) fn sample() -> ServicesDocument {
        let status = status::tests::sample();
        let hosts = status.hosts.iter().map(|host| PlacementDocument {
            host: host.name.clone(),
            host_state: host.state,
            assignment: host.assignments.first().cloned(),
        });
        let service = ServiceDocument {
            name: "whoami".to_owned(),
            image: "docker.io/traefik/whoami:v1.11".to_owned(),
            ports: vec!["8080:80".to_owned()],
            hosts: hosts.collect(),
        };
        ServicesDocument {
            services: vec![service],
        }
    }

    #[test]
    fn the_shape_is_fixed() {
        insta::assert_json_snapshot!(sample());
    }
}
