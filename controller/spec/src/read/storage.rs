//! `storage:`

use super::strings::{ApiUrl, Version};
use crate::field::{Field, Key, key};
use crate::model::{Storage, Text, TrueNas};
use crate::report::Report;

const KEYS: &[Key] = &[key("truenas", "a mapping with url, api_key and pool")];

const TRUENAS: &[Key] = &[
    key(
        "url",
        "the machine's API, such as wss://nas.example.com/api/current",
    ),
    key(
        "api_key",
        "a reference such as \"${secret:truenas:api_key}\"",
    ),
    key("pool", "the pool in which datasets are made"),
];

pub(super) fn storage(field: &Field<'_>, report: &mut Report<'_>) -> Storage {
    let table = field.table(KEYS, report);
    let truenas = table.and_then(|table| table.get("truenas"));
    Storage {
        truenas: truenas.and_then(|field| truenas_of(&field, report)),
    }
}

fn truenas_of(field: &Field<'_>, report: &mut Report<'_>) -> Option<TrueNas> {
    let table = field.table(TRUENAS, report)?;
    let url = table
        .need("url", report)
        .and_then(|field| field.parse::<ApiUrl>(report));
    let api_key = table.need("api_key", report).and_then(|field| {
        let text = field.parse_scalar::<Text>(report)?;
        if text.as_literal().is_some() {
            let hint = "write \"${secret:truenas:api_key}\" and keep the key in ~/.foundryvars";
            report.warn(field.at(), "`api_key` holds the key itself", hint);
        }
        Some(text)
    });
    // A pool's name has the form of a version: letters, digits and -_.
    let pool = table.need("pool", report).and_then(|field| {
        let text = field.scalar(report)?;
        let wrong = |_| format!("`{text}` is not the name of a pool");
        field.take(text.parse::<Version>().map_err(wrong), report)
    });
    Some(TrueNas {
        url: url?.into_text(),
        api_key: api_key?,
        pool: pool?.into_text(),
    })
}
