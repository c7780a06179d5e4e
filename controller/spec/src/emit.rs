//! Scalars written so that they read back as the same string.

use crate::tree::Scalar;

/// Plain where that is safe, else in quotes.
pub(crate) fn scalar(text: &str) -> String {
    let safe = |c: char| c.is_ascii_alphanumeric() || "-_./+".contains(c);
    let plain = text.starts_with(|c: char| c.is_ascii_alphanumeric() || c == '/')
        && text.chars().all(safe)
        && Scalar::new(text.to_owned(), true).is_string();
    if plain { text.to_owned() } else { quoted(text) }
}

/// In double quotes.
pub(crate) fn quoted(text: &str) -> String {
    let mut out = String::from('"');
    for c in text.chars() {
        match c {
            '"' | '\\' => out.extend(['\\', c]),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            c if c.is_control() => out.push_str(&format!("\\u{:04X}", u32::from(c))),
            c => out.push(c),
        }
    }
    out.push('"');
    out
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::scalar;
    use crate::tree::build;

    #[test]
    fn plain_where_that_is_safe() {
        assert_eq!(scalar("node1.example.com"), "node1.example.com");
        assert_eq!(scalar("192.168.1.20"), "192.168.1.20");
        for (text, written) in [
            ("true", "\"true\""),
            ("123", "\"123\""),
            ("1e3", "\"1e3\""),
            ("", "\"\""),
            ("::1", "\"::1\""),
            ("DOMAIN\\me", "\"DOMAIN\\\\me\""),
            ("- a", "\"- a\""),
        ] {
            assert_eq!(scalar(text), written);
        }
    }

    proptest! {
        #[test]
        fn whatever_is_written_reads_back(text in "\\PC*|[-0-9a-z.:#{}, \"'\\\\\n\t]*") {
            let tree = build(&format!("a: {}\n", scalar(&text))).unwrap();
            let read = tree.get("a").and_then(|node| node.scalar()).unwrap();
            prop_assert!(read.is_string());
            prop_assert_eq!(read.text(), text);
        }
    }
}
