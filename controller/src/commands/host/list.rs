//! `host list`: the hosts of the file beside what the fleet knows of them.

use foundry_proto::operator::v1 as wire;

use super::super::fleet;
use super::super::stackfile::StackFile;
use crate::api::client::refusal;
use crate::cli::{CliError, Context, Exit, runtime};
use crate::output::json::host::{HostEntry, HostsDocument};

pub(super) fn run(context: &Context) -> Result<Exit, CliError> {
    let file = StackFile::load(context)?;
    let records = match fleet::of_file(context, &file)? {
        None => Vec::new(),
        Some(paths) => runtime::block_on(async {
            let mut client = fleet::controller(context, &file, &paths).await?;
            let reply = client.list_hosts(wire::ListHostsRequest {}).await;
            Ok(reply.map_err(|status| refusal(&status))?.into_inner().hosts)
        })?,
    };
    context.printer.document(&HostsDocument {
        hosts: join(&file, &records),
    });
    Ok(Exit::Done)
}

/// Those of the file in its order, then those that only the fleet knows.
fn join(file: &StackFile, records: &[wire::HostRecord]) -> Vec<HostEntry> {
    let declared = file.stack.hosts.iter().map(|host| {
        let name = host.hostname.as_str();
        let address = host.address.to_string();
        match records.iter().find(|record| record.hostname == name) {
            Some(record) => HostEntry {
                in_file: true,
                address: Some(address),
                ..HostEntry::known(record)
            },
            None => HostEntry::in_file(name, address),
        }
    });
    let strangers = records
        .iter()
        .filter(|record| file.stack.host(&record.hostname).is_none());
    declared.chain(strangers.map(HostEntry::known)).collect()
}
