//! Scalars and what they mean: YAML 1.2's core schema, so `no` is a string and `0o17` a number.

/// A scalar, with its text as written, escapes and folding undone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Scalar {
    text: String,
    /// Without quotes and tags: its text decides what it is.
    plain: bool,
}

// === impl Scalar ===

impl Scalar {
    pub(crate) fn new(text: String, plain: bool) -> Self {
        Self { text, plain }
    }

    /// As text, whatever it is.
    pub(crate) fn text(&self) -> &str {
        &self.text
    }

    /// Nothing, `~` or `null`.
    pub(crate) fn is_null(&self) -> bool {
        self.plain && matches!(self.text.as_str(), "" | "~" | "null" | "Null" | "NULL")
    }

    /// `true` or `false`.
    pub(crate) fn as_bool(&self) -> Option<bool> {
        match self.text.as_str() {
            _ if !self.plain => None,
            "true" | "True" | "TRUE" => Some(true),
            "false" | "False" | "FALSE" => Some(false),
            _ => None,
        }
    }

    /// A whole number.
    pub(crate) fn as_integer(&self) -> Option<i64> {
        if !self.plain {
            return None;
        }
        if let Some(digits) = self.text.strip_prefix("0x") {
            return i64::from_str_radix(digits, 16).ok();
        }
        if let Some(digits) = self.text.strip_prefix("0o") {
            return i64::from_str_radix(digits, 8).ok();
        }
        self.text.parse().ok()
    }

    /// Any number.
    pub(crate) fn as_float(&self) -> Option<f64> {
        let numeric = |c: char| c.is_ascii_digit() || "+-.eE".contains(c);
        let number = self.plain
            && self.text.contains(|c: char| c.is_ascii_digit())
            && self.text.chars().all(numeric);
        if number { self.text.parse().ok() } else { None }
    }

    /// Its kind, with an article.
    pub(crate) fn kind(&self) -> &'static str {
        if self.is_null() {
            "empty"
        } else if self.as_bool().is_some() {
            "true or false"
        } else if self.as_integer().is_some() || self.as_float().is_some() {
            "a number"
        } else {
            "a string"
        }
    }

    /// Whether it is a string and nothing else.
    pub(crate) fn is_string(&self) -> bool {
        self.kind() == "a string"
    }
}

#[cfg(test)]
mod tests {
    use super::Scalar;

    #[test]
    fn plain_text_is_what_the_core_schema_says() {
        for (text, kind) in [
            ("", "empty"),
            ("~", "empty"),
            ("true", "true or false"),
            ("no", "a string"),
            ("0x1F", "a number"),
            ("0o17", "a number"),
            ("-1.5e3", "a number"),
            ("1.2.3", "a string"),
            ("v1", "a string"),
            ("e", "a string"),
            ("8080:80", "a string"),
            ("99999999999999999999", "a number"),
        ] {
            assert_eq!(Scalar::new(text.to_owned(), true).kind(), kind, "{text}");
            assert_eq!(
                Scalar::new(text.to_owned(), false).kind(),
                "a string",
                "{text}"
            );
        }
    }
}
