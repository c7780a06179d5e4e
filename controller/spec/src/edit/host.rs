//! `hosts:`, and the lists of hosts' names elsewhere.

use std::ops::Range;

use super::splice::{Splices, indent, line_end, line_start, lines_after, with_own_comments};
use super::{EditError, File, NewHost};
use crate::emit;
use crate::report::nearest;
use crate::tree::{Content, Entry, Node, Style};

pub(super) fn add(file: &File<'_>, host: &NewHost) -> Result<Splices, EditError> {
    let entry = hosts(file)?;
    let mut splices = Splices::default();
    let Content::Sequence(items, style) = entry.value.content() else {
        return Err(file.untouchable(entry.value.at.start, "it is no list"));
    };
    match (style, items.last()) {
        (Style::Block, Some(last)) => {
            let lines = item_lines(file, last)?;
            let column = &file.source[lines.start..dash(file, last)?];
            let end = lines.end;
            let lines = match last.content() {
                Content::Mapping(_, Style::Flow) => vec![format!("{column}- {{ {} }}", flow(host))],
                Content::Mapping(_, Style::Block) | Content::Scalar(_) | Content::Sequence(..) => {
                    block(host, column)
                }
            };
            splices.insert(end, lines_after(file.source, end, &lines));
        }
        (Style::Flow, Some(last)) => {
            splices.insert(last.at.end, format!(", {{ {} }}", flow(host)));
        }
        (_, None) => first(file, entry, host, &mut splices)?,
    }
    Ok(splices)
}

pub(super) fn remove(file: &File<'_>, hostname: &str) -> Result<Splices, EditError> {
    let entry = hosts(file)?;
    let names = || {
        entry
            .value
            .items()
            .iter()
            .filter_map(|item| item.get("hostname")?.scalar())
    };
    let is_it = |item: &Node| {
        item.get("hostname")
            .is_some_and(|name| name.is_text(hostname))
    };
    let Some(at) = entry.value.items().iter().position(is_it) else {
        let nearest = nearest(hostname, names().map(|name| name.text())).map(str::to_owned);
        return Err(EditError::NoSuchHost {
            name: hostname.to_owned(),
            nearest,
        });
    };
    let mut splices = Splices::default();
    remove_item(file, entry, at, &mut splices)?;
    let services = file.root.get("services").into_iter().flat_map(Node::items);
    let components = file
        .root
        .get("components")
        .into_iter()
        .flat_map(Node::entries);
    let users = services.chain(components.map(|component| &component.value));
    for list in users.filter_map(|user| user.entry("hosts")) {
        let Some(at) = list
            .value
            .items()
            .iter()
            .position(|name| name.is_text(hostname))
        else {
            continue;
        };
        if list.value.items().len() == 1 {
            let why = "this runs on that host alone: name another host for it, or take it out";
            return Err(file.untouchable(list.key.at.start, why));
        }
        remove_item(file, list, at, &mut splices)?;
    }
    Ok(splices)
}

fn hosts<'f>(file: &'f File<'_>) -> Result<&'f Entry, EditError> {
    match (
        file.root.entry("hosts"),
        file.root.get("cluster").and_then(|c| c.entry("nodes")),
    ) {
        (Some(entry), _) if entry.value.alias => Err(file.untouchable(
            entry.value.at.start,
            "its hosts are written at another place",
        )),
        (Some(entry), _) => Ok(entry),
        (None, Some(nodes)) => {
            let why = "`cluster.nodes` is the older form: move its hosts to `hosts:` first";
            Err(file.untouchable(nodes.key.at.start, why))
        }
        (None, None) => Err(file.untouchable(0, "there is no `hosts:`")),
    }
}

/// Puts a first host into an empty list.
fn first(
    file: &File<'_>,
    entry: &Entry,
    host: &NewHost,
    splices: &mut Splices,
) -> Result<(), EditError> {
    let key = entry.key.at.start;
    let block_style = matches!(file.root.content(), Content::Mapping(_, Style::Block));
    let Some(outer) = indent(file.source, key).filter(|_| block_style && !entry.value.anchored)
    else {
        splices.replace(entry.value.at.clone(), format!("[{{ {} }}]", flow(host)));
        return Ok(());
    };
    let written = entry.value.at.clone();
    let spaces = file.source[..written.start].len()
        - file.source[..written.start].trim_end_matches(' ').len();
    splices.delete(written.start - spaces..written.end);
    let end = line_end(file.source, written.end);
    let lines = block(host, &format!("{outer}  "));
    splices.insert(end, lines_after(file.source, end, &lines));
    Ok(())
}

/// Takes an item out of the list of an entry.
fn remove_item(
    file: &File<'_>,
    entry: &Entry,
    at: usize,
    splices: &mut Splices,
) -> Result<(), EditError> {
    let (source, list) = (file.source, &entry.value);
    let Content::Sequence(items, style) = list.content() else {
        return Err(file.untouchable(list.at.start, "it is no list"));
    };
    let item = &items[at];
    match (
        style,
        at.checked_sub(1).and_then(|before| items.get(before)),
        items.get(at + 1),
    ) {
        (Style::Flow, _, Some(next)) => splices.delete(item.at.start..next.at.start),
        (Style::Flow, Some(before), None) => splices.delete(before.at.end..item.at.end),
        (Style::Flow, None, None) => splices.replace(list.at.clone(), "[]"),
        (Style::Block, before, next) => {
            let lines = item_lines(file, item)?;
            if before.is_none() && next.is_none() {
                let key_end = entry.key.at.end;
                let colon = source[key_end..lines.start].find(':');
                let colon =
                    colon.ok_or_else(|| file.untouchable(key_end, "its colon was not found"))?;
                splices.insert(key_end + colon + 1, " []");
            }
            splices.delete(lines);
        }
    }
    Ok(())
}

/// The whole lines of an item, its own comments at the end included.
fn item_lines(file: &File<'_>, item: &Node) -> Result<Range<usize>, EditError> {
    let source = file.source;
    let dash = dash(file, item)?;
    let end = line_end(source, item.at.end);
    let start = line_start(source, dash);
    Ok(start..with_own_comments(source, end, dash - start))
}

/// The dash that an item stands behind. An anchor or a comment may lie between, on lines of their own.
fn dash(file: &File<'_>, item: &Node) -> Result<usize, EditError> {
    let source = file.source;
    let mut line = line_start(source, item.at.start);
    loop {
        let text = source[line..].trim_start_matches(' ');
        let dash = source.len() - text.len();
        if text.starts_with("- ") || text.starts_with("-\n") || text.starts_with("-\r") {
            return Ok(dash);
        }
        let Some(before) = line.checked_sub(1) else {
            return Err(file.untouchable(item.at.start, "it shares its line"));
        };
        line = line_start(source, before);
    }
}

fn fields(host: &NewHost) -> Vec<(&'static str, String)> {
    let mut fields = vec![
        ("hostname", emit::scalar(host.hostname.as_str())),
        ("address", emit::scalar(host.address.as_str())),
    ];
    fields.extend(host.user.as_ref().map(|user| ("user", emit::scalar(user))));
    fields.extend(host.port.map(|port| ("port", port.to_string())));
    fields
}

/// On one line, without braces.
fn flow(host: &NewHost) -> String {
    let fields = fields(host);
    let pairs: Vec<String> = fields
        .iter()
        .map(|(key, value)| format!("{key}: {value}"))
        .collect();
    pairs.join(", ")
}

/// One line for each field.
pub(crate) fn block(host: &NewHost, indent: &str) -> Vec<String> {
    let fields = fields(host);
    let lines = fields.iter().enumerate().map(|(at, (key, value))| {
        let lead = if at == 0 { "- " } else { "  " };
        format!("{indent}{lead}{key}: {value}")
    });
    lines.collect()
}
