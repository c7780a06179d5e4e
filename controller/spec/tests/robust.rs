//! Whatever a file holds: no panic, places within it, and edits that either do what they say or refuse.

use foundry_spec::edit::{NewHost, add_host, remove_host, set_fleet};
use foundry_spec::parse;
use proptest::prelude::*;

const FILES: [&str; 3] = [
    include_str!("files/full.yaml"),
    include_str!("files/ugly.yaml"),
    include_str!("files/wrong.yaml"),
];

/// A file with some of its bytes gone, doubled or in other places.
fn mangled() -> impl Strategy<Value = String> {
    let cut = (
        any::<prop::sample::Index>(),
        0usize..12,
        "[-:#{}\\[\\]&*<'\" \n\ta1]{0,4}",
    );
    (0..FILES.len(), prop::collection::vec(cut, 1..5)).prop_map(|(file, cuts)| {
        let mut text: Vec<char> = FILES[file].chars().collect();
        for (at, gone, put) in cuts {
            let start = at.index(text.len() + 1);
            let end = (start + gone).min(text.len());
            text.splice(start..end, put.chars());
        }
        text.into_iter().collect()
    })
}

fn check(source: &str) -> Result<(), TestCaseError> {
    let errors = match parse(source, "x") {
        Ok(_) => Vec::new(),
        Err(errors) => {
            prop_assert!(!errors.is_empty());
            errors
        }
    };
    for error in errors {
        prop_assert!(
            source
                .get(error.offset..error.offset + error.length)
                .is_some()
        );
        prop_assert!(error.line >= 1 && error.line <= source.matches('\n').count() + 1);
        prop_assert!(
            !error.message.contains(char::is_control),
            "{}",
            error.message
        );
    }
    let host = NewHost {
        hostname: "added".parse().expect("a hostname"),
        address: "10.9.9.9".parse().expect("an address"),
        user: None,
        port: None,
    };
    if let Ok(edited) = set_fleet(source, &"a-1".parse().expect("a fleet")) {
        let stack = parse(&edited, "x").expect("a valid file").stack;
        prop_assert!(stack.fleet.is_some_and(|fleet| fleet.as_str() == "a-1"));
    }
    if let Ok(edited) = add_host(source, &host) {
        prop_assert!(
            parse(&edited, "x")
                .expect("a valid file")
                .stack
                .host("added")
                .is_some()
        );
    }
    if let Ok(edited) = remove_host(source, "node2") {
        prop_assert!(
            parse(&edited, "x")
                .expect("a valid file")
                .stack
                .host("node2")
                .is_none()
        );
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig {
        failure_persistence: None,
        cases: 400,
        ..ProptestConfig::default()
    })]

    #[test]
    fn any_text(source in "\\PC{0,80}") {
        check(&source)?;
    }

    #[test]
    fn any_mangled_file(source in mangled()) {
        check(&source)?;
    }
}
