//! Strings of a certain form that the model keeps as strings.

use std::net::IpAddr;
use std::str::FromStr;

/// A DNS name of lower-case labels.
pub(super) struct DomainName(String);

/// `host:port`
pub(super) struct HostPort(String);

/// `ssh://[user@]host[:port]`
pub(super) struct Destination(String);

/// A user that ssh may be told.
pub(super) struct UserName(String);

/// What a runtime's `--user` takes: user or number, and a group perhaps.
pub(super) struct ContainerUser(String);

/// The name of an environment variable.
pub(super) struct VariableName(String);

/// A path relative to the file.
pub(super) struct RelativePath(String);

/// `wss://host/path`
pub(super) struct ApiUrl(String);

/// A version as upstream writes it.
pub(super) struct Version(String);

fn is_host(host: &str) -> bool {
    let bare = host
        .strip_prefix('[')
        .and_then(|rest| rest.strip_suffix(']'));
    match bare {
        Some(ip) => ip.parse::<IpAddr>().is_ok_and(|ip| ip.is_ipv6()),
        None => is_word(host, "-_."),
    }
}

fn is_port(port: &str) -> bool {
    port.bytes().all(|b| b.is_ascii_digit()) && port.parse::<u16>().is_ok_and(|port| port > 0)
}

/// Letters, digits and some others; nothing that could be taken for an option.
fn is_word(text: &str, others: &str) -> bool {
    (1..=253).contains(&text.len())
        && !text.starts_with('-')
        && text
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || others.contains(c))
}

/// `host[:port]`
fn is_authority(text: &str) -> bool {
    match text.rsplit_once(':') {
        Some((host, port)) if !text.ends_with(']') => is_host(host) && is_port(port),
        _ => is_host(text),
    }
}

macro_rules! string_of_a_form {
    ($($name:ident: $form:expr, $what:literal;)*) => {$(
        impl FromStr for $name {
            type Err = String;

            fn from_str(text: &str) -> Result<Self, String> {
                let form: fn(&str) -> bool = $form;
                if form(text) {
                    Ok(Self(text.to_owned()))
                } else {
                    Err(format!(concat!("`{}` is not ", $what), text))
                }
            }
        }

        impl $name {
            /// The string itself.
            pub(super) fn into_text(self) -> String {
                self.0
            }
        }
    )*};
}

string_of_a_form! {
    DomainName: |text| text.len() <= 253 && text.split('.').all(|label| {
        is_word(label, "-") && !label.ends_with('-') && !label.chars().any(|c| c.is_uppercase())
    }), "a DNS domain";
    HostPort: |text| {
        text.rsplit_once(':').is_some_and(|(host, port)| is_host(host) && is_port(port))
    }, "host:port";
    Destination: |text| text.strip_prefix("ssh://").is_some_and(|rest| {
        let (user, host) = rest.split_once('@').unwrap_or(("any", rest));
        is_word(user, "-_.") && is_authority(host)
    }), "of the form ssh://user@host";
    UserName: |text| is_word(text, "-_.\\$"), "the name of a user";
    ContainerUser: |text| {
        let (user, group) = text.split_once(':').unwrap_or((text, "0"));
        is_word(user, "-_.") && is_word(group, "-_.")
    }, "a user as user, uid, user:group or uid:gid";
    VariableName: |text| {
        is_word(text, "_.-") && !text.starts_with(|c: char| c.is_ascii_digit())
    }, "the name of an environment variable";
    RelativePath: |text| {
        !text.is_empty() && !text.starts_with(['/', '~']) && !text.chars().any(char::is_control)
    }, "a path relative to stack.yaml";
    ApiUrl: |text| text.split_once("://").is_some_and(|(scheme, rest)| {
        let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
        let plain = path.chars().all(|c| c.is_ascii_graphic());
        matches!(scheme, "wss" | "ws" | "https" | "http") && is_authority(authority) && plain
    }), "a URL of the form wss://host/api/current";
    Version: |text| is_word(text, "-_.+"), "a version";
}

#[cfg(test)]
mod tests {
    use super::*;

    fn good<T: FromStr<Err = String>>(texts: &[&str]) {
        for text in texts {
            assert!(text.parse::<T>().is_ok(), "{text}");
        }
    }

    fn bad<T: FromStr<Err = String>>(texts: &[&str]) {
        for text in texts {
            assert!(text.parse::<T>().is_err(), "{text}");
        }
    }

    #[test]
    fn forms() {
        good::<DomainName>(&["example.com", "lan"]);
        bad::<DomainName>(&["", "Example.com", "a..b", "a_b", "-a.b", "a-.b"]);
        good::<HostPort>(&["ctl:7443", "10.0.0.1:1", "[2001:db8::1]:7443"]);
        bad::<HostPort>(&["ctl", "ctl:", "ctl:0", "::1:7443", "[::1]", "-x:1", "a:+1"]);
        good::<Destination>(&["ssh://admin@ctl1", "ssh://ctl1:2222", "ssh://a@[::1]:22"]);
        bad::<Destination>(&[
            "ctl1",
            "ssh://",
            "ssh://-o@x",
            "ssh://x/path",
            "http://x",
            "ssh://-x",
        ]);
        good::<UserName>(&["root", "first.last", "DOMAIN\\me"]);
        bad::<UserName>(&["", "-l", "a b", "a;b"]);
        good::<ContainerUser>(&["1000", "app:app", "0:0"]);
        bad::<ContainerUser>(&["", ":1", "a:", "a b", "-x"]);
        good::<VariableName>(&["PATH", "_x", "spring.profile"]);
        bad::<VariableName>(&["", "1A", "A=B", "A B", "Ä"]);
        good::<RelativePath>(&["./a.tar", "../images/a.tar", "a b.tar"]);
        bad::<RelativePath>(&["", "/a.tar", "~/a.tar", "a\nb"]);
        good::<ApiUrl>(&["wss://nas.example.com/api/current", "http://10.0.0.1:80"]);
        bad::<ApiUrl>(&[
            "nas",
            "ftp://nas/",
            "wss://",
            "wss://u:p@nas/",
            "wss://nas/a b",
        ]);
        good::<Version>(&["2.7.2", "v1.35.7+k3s1"]);
        bad::<Version>(&["", "a b", "-1"]);
    }
}
