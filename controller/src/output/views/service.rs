//! Services, each on each of its hosts.

use super::super::json::service::ServicesDocument;
use super::plain;
use super::status::{host_tone, words};
use crate::output::{Document, Page, Tone, time};

impl Document for ServicesDocument {
    fn draw(&self, page: &mut Page) {
        if self.services.is_empty() {
            return page.line("no services");
        }
        let mut rows = Vec::new();
        for service in &self.services {
            for place in &service.hosts {
                let assignment = place.assignment.as_ref();
                let (state, tone) = match assignment {
                    Some(assignment) if place.host_state != "unreachable" => {
                        let (word, tone) = assignment.in_a_word();
                        (word.to_owned(), tone)
                    }
                    _ if matches!(place.host_state, "healthy" | "degraded") => {
                        ("not installed".to_owned(), Tone::Dim)
                    }
                    _ => (
                        format!("host {}", words(place.host_state)),
                        host_tone(place.host_state),
                    ),
                };
                rows.push(vec![
                    (service.name.clone(), Tone::Strong),
                    plain(place.host.clone()),
                    (state, tone),
                    plain(
                        assignment
                            .and_then(|a| a.age())
                            .map(time::age)
                            .unwrap_or_default(),
                    ),
                    plain(assignment.map(|a| a.revisions()).unwrap_or_default()),
                    plain(service.ports.join(" ")),
                    plain(service.image.clone()),
                ]);
            }
        }
        page.table(
            &[
                "SERVICE", "HOST", "STATE", "AGE", "REVISION", "PORTS", "IMAGE",
            ],
            rows,
        );
    }
}

#[cfg(test)]
mod tests {
    use crate::output::json::service::tests::sample;
    use crate::output::{Document as _, Page};

    #[test]
    fn services_fit_eighty_columns() {
        let mut page = Page::new(false, 80);
        sample().draw(&mut page);
        let text = page.into_text();
        assert!(
            text.lines().all(|line| line.chars().count() <= 80),
            "{text}"
        );
        insta::assert_snapshot!(text);
    }
}
