//! `components:`

use super::host::Hosts;
use super::strings::Version;
use crate::field::{Field, Key, key};
use crate::model::{Component, ComponentKind, Config, Hostname, Text, Value};
use crate::report::Report;
use crate::tree::{Content, Scalar};

const VERSION: Key = key(
    "version",
    "a version, such as \"2.7.2\"; left out: the one that is there",
);
const HOSTS: Key = key("hosts", "a list of hostnames");
const CONFIG: Key = key(
    "config",
    "a mapping, merged into the component's own configuration",
);
const VALUES: Key = key("values", "a mapping of chart values");

/// Components that run on hosts.
const ON_HOSTS: &[Key] = &[VERSION, HOSTS, CONFIG];

/// Components that run in Kubernetes.
const CHARTS: &[Key] = &[VERSION, CONFIG, VALUES];

/// In the order in which they depend on one another.
pub(super) fn components(
    field: &Field<'_>,
    hosts: &Hosts,
    report: &mut Report<'_>,
) -> Vec<Component> {
    let mut components: Vec<Component> = Vec::new();
    for (name, value) in field.entries(report) {
        let Some(kind) = ComponentKind::named(name.name()) else {
            let known = ComponentKind::ALL.map(ComponentKind::as_str);
            report
                .error(
                    name.at(),
                    format!("there is no component `{}`", name.name()),
                )
                .expected(format!("one of {}", known.join(", ")))
                .nearest(name.name(), known);
            continue;
        };
        if components.iter().any(|component| component.kind == kind) {
            report.error(name.at(), format!("component {kind} stands here twice"));
            continue;
        }
        components.extend(component(kind, &value, hosts, report));
    }
    components.sort_by_key(|component| component.kind);
    components
}

fn component(
    kind: ComponentKind,
    field: &Field<'_>,
    hosts: &Hosts,
    report: &mut Report<'_>,
) -> Option<Component> {
    if field.node.is_null() {
        return Some(Component {
            kind,
            version: None,
            hosts: default_hosts(kind, hosts),
            config: Config::default(),
            values: Config::default(),
        });
    }
    let chart = matches!(kind, ComponentKind::Contour | ComponentKind::CertManager);
    let table = field.table(if chart { CHARTS } else { ON_HOSTS }, report)?;
    let version = table
        .get("version")
        .and_then(|field| field.parse_scalar::<Version>(report));
    let named = table.get("hosts").filter(|_| !chart).map(|field| {
        let named = hosts.resolve(&field, report);
        check_count(kind, &named, &field, report);
        named
    });
    let config = table.get("config").map(|field| mapping(&field, report));
    let values = table.get("values").map(|field| mapping(&field, report));
    Some(Component {
        kind,
        version: version.map(Version::into_text),
        hosts: named.unwrap_or_else(|| default_hosts(kind, hosts)),
        config: config.unwrap_or_default(),
        values: values.unwrap_or_default(),
    })
}

fn default_hosts(kind: ComponentKind, hosts: &Hosts) -> Vec<Hostname> {
    match kind {
        ComponentKind::Openbao | ComponentKind::Zot => hosts.all().into_iter().take(1).collect(),
        ComponentKind::K3s => hosts.all(),
        ComponentKind::Contour | ComponentKind::CertManager => Vec::new(),
    }
}

fn check_count(
    kind: ComponentKind,
    named: &[Hostname],
    field: &Field<'_>,
    report: &mut Report<'_>,
) {
    match (kind, named.len()) {
        (ComponentKind::Zot, 2..) => {
            report
                .error(field.at(), "zot runs on one host")
                .hint("keep one of them");
        }
        (ComponentKind::Openbao, count) if count > 0 && count.is_multiple_of(2) => {
            report
                .error(
                    field.at(),
                    format!(
                        "openbao on {count} hosts can lose no more than on {}",
                        count - 1
                    ),
                )
                .expected("one host, or three")
                .hint("an even number of servers needs the same majority as one more");
        }
        _ => {}
    }
}

/// A mapping that is passed on.
fn mapping(field: &Field<'_>, report: &mut Report<'_>) -> Config {
    let entries = field.entries(report).into_iter();
    entries
        .map(|(key, item)| (key.name().to_owned(), value(&item, report)))
        .collect()
}

/// Anything, with references to secrets checked.
fn value(field: &Field<'_>, report: &mut Report<'_>) -> Value {
    match field.node.content() {
        Content::Scalar(scalar) => scalar_value(scalar, field, report),
        Content::Sequence(..) => Value::List(
            field
                .items(report)
                .iter()
                .map(|item| value(item, report))
                .collect(),
        ),
        Content::Mapping(..) => Value::Map(mapping(field, report)),
    }
}

fn scalar_value(scalar: &Scalar, field: &Field<'_>, report: &mut Report<'_>) -> Value {
    if scalar.is_null() {
        return Value::Null;
    }
    let number = scalar.as_integer().map(Value::Integer);
    let float = || {
        scalar
            .as_float()
            .filter(|float| float.is_finite())
            .map(Value::Float)
    };
    let Some(value) = scalar.as_bool().map(Value::Bool).or(number).or_else(float) else {
        return field
            .parse_scalar::<Text>(report)
            .map_or(Value::Null, Value::Text);
    };
    let text = scalar.text();
    if text.len() > 1 && text.starts_with('0') && text.bytes().all(|b| b.is_ascii_digit()) {
        report
            .error(
                field.at(),
                format!("`{text}` means different numbers to different readers"),
            )
            .hint(format!(
                "quote it, \"{text}\", or write 0o{} for an octal number",
                &text[1..]
            ));
    }
    value
}
