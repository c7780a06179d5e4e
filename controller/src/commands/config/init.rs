//! `config init`: a new stack.yaml, from flags and from answers.

use std::net::IpAddr;

use foundry_spec::edit::NewHost;
use foundry_spec::template::{Answers, new_file};
use foundry_spec::{FleetName, SpecError};

use super::stackfile;
use crate::cli::args::Init;
use crate::cli::{CliError, Context, Exit, Kind};
use crate::output::json::config::WrittenDocument;
use crate::state::{self, Paths};

pub(super) fn run(context: &Context, options: Init) -> Result<Exit, CliError> {
    let path = stackfile::place_for_new(context);
    if path.exists() && !options.force {
        return Err(CliError::usage(format!("{path} is there already"))
            .hint("write over it: `--force`")
            .hint("write elsewhere: `--config FILE`"));
    }
    let mut answers = answers(context, options)?;
    // What the file would say is checked before anything is made.
    new_file(&answers).map_err(refused)?;

    let home = &context.environment.home;
    let fleet = state::create_fleet(home, &answers.name).map_err(|error| {
        let hints = error.hints();
        CliError::failed(error).hints(hints)
    })?;
    let written = fleet
        .as_str()
        .parse::<FleetName>()
        .map_err(CliError::failed)
        .and_then(|name| {
            answers.fleet = Some(name);
            new_file(&answers).map_err(refused)
        })
        .and_then(|text| stackfile::write(&path, &text));
    if let Err(error) = written {
        // A fleet that no file names would never be found again.
        let _ = fs_err::remove_dir_all(Paths::new(home, &fleet).dir());
        return Err(error);
    }
    context.printer.document(&WrittenDocument {
        message: format!("wrote {path} for the new fleet {fleet}"),
        file: path.to_string(),
        fleet: Some(fleet.to_string()),
    });
    if answers.hosts.is_empty() {
        context
            .printer
            .hint("add hosts: `foundry host add NAME ADDRESS`");
    }
    Ok(Exit::Done)
}

/// What flags do not say is asked for.
fn answers(context: &Context, options: Init) -> Result<Answers, CliError> {
    let printer = &context.printer;
    let asked = printer.settings().can_ask && options.name.is_none();
    let name = match options.name {
        Some(name) => name,
        None => printer.text("Name of the cluster:", "production", "--name NAME")?,
    };
    let ask = |question: &str, flag: &str| match asked {
        true => printer
            .text(question, "", flag)
            .map(|answer| Some(answer).filter(|a| !a.is_empty())),
        false => Ok(None),
    };
    let domain = match options.domain {
        Some(domain) => Some(domain),
        None => ask("DNS domain (empty: none):", "--domain DOMAIN")?,
    };
    let vip = match options.vip {
        Some(vip) => Some(vip),
        None => ask(
            "Virtual IP of the Kubernetes API (empty: none):",
            "--vip ADDRESS",
        )?,
    };
    let vip = vip.map(|vip| {
        vip.parse::<IpAddr>().map_err(|cause| {
            CliError::because(format!("`{vip}` is not an IP address"), cause).of_kind(Kind::Usage)
        })
    });
    let mut hosts = options.hosts;
    let question = "A host as NAME=ADDRESS, NAME=USER@ADDRESS (empty: no more):";
    while let Some(host) = ask(question, "--host NAME=ADDRESS")? {
        hosts.push(host);
    }
    let hosts = hosts
        .iter()
        .map(|text| host(text))
        .collect::<Result<_, _>>()?;
    Ok(Answers {
        name,
        domain,
        vip: vip.transpose()?,
        fleet: None,
        hosts,
    })
}

/// `NAME=ADDRESS`, `NAME=USER@ADDRESS`, `NAME=USER@ADDRESS:PORT`.
fn host(text: &str) -> Result<NewHost, CliError> {
    let wrong = |cause: String| {
        CliError::because(format!("`{text}` does not name a host"), cause)
            .of_kind(Kind::Usage)
            .hint("write it as NAME=ADDRESS, or NAME=USER@ADDRESS:PORT")
    };
    let (name, rest) = text
        .split_once('=')
        .ok_or_else(|| wrong("it has no `=`".to_owned()))?;
    let (user, rest) = match rest.split_once('@') {
        Some((user, rest)) => (Some(user.to_owned()), rest),
        None => (None, rest),
    };
    let (address, port) = match rest.rsplit_once(':') {
        Some((address, port)) if !address.contains(':') || address.ends_with(']') => {
            let port = port
                .parse()
                .map_err(|_| wrong(format!("`{port}` is not a port")))?;
            (address, Some(port))
        }
        _ => (rest, None),
    };
    Ok(NewHost {
        hostname: name
            .parse()
            .map_err(|error: foundry_spec::NameError| wrong(error.to_string()))?,
        address: address.parse().map_err(|error| wrong(format!("{error}")))?,
        user,
        port,
    })
}

fn refused(errors: Vec<SpecError>) -> CliError {
    let mut messages = errors.into_iter().map(|error| error.message);
    let first = messages.next().unwrap_or_default();
    CliError::because("these answers make no valid file", first)
        .of_kind(Kind::Usage)
        .hints(messages)
}

#[cfg(test)]
mod tests {
    use super::host;

    #[test]
    fn hosts_may_name_user_and_port() {
        let plain = host("node1=192.0.2.7").unwrap();
        assert_eq!(
            (plain.address.as_str(), plain.user, plain.port),
            ("192.0.2.7", None, None)
        );
        let full = host("node1=admin@192.0.2.7:2222").unwrap();
        assert_eq!(
            (full.address.as_str(), full.port),
            ("192.0.2.7", Some(2222))
        );
        assert_eq!(full.user.as_deref(), Some("admin"));
        let six = host("node1=2001:db8::7").unwrap();
        assert_eq!((six.address.as_str(), six.port), ("2001:db8::7", None));
        let bracketed = host("node1=[2001:db8::7]:22").unwrap();
        assert_eq!(
            (bracketed.address.as_str(), bracketed.port),
            ("2001:db8::7", Some(22))
        );
        assert!(host("192.0.2.7").is_err());
        assert!(host("Node=192.0.2.7").is_err());
    }
}
