//! Which form output takes.

use std::ffi::OsString;

use clap::ValueEnum;

/// The form of what is printed on standard output, and of errors.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// For people.
    Table,
    /// docs/json.md; one document a line for streams.
    Json,
    /// The same model as YAML; streams are documents divided by `---`.
    Yaml,
}

// === impl Format ===

impl Format {
    /// What arguments that could not be read ask for.
    pub fn guess(arguments: impl Iterator<Item = OsString>) -> Self {
        let mut after_flag = false;
        for argument in arguments {
            let argument = argument.to_string_lossy();
            let value = match argument.as_ref() {
                value if after_flag => Some(value),
                other => ["--output=", "-o"]
                    .iter()
                    .find_map(|flag| other.strip_prefix(flag)),
            };
            if let Some(format) = value.and_then(|value| Self::from_str(value, false).ok()) {
                return format;
            }
            after_flag = matches!(argument.as_ref(), "-o" | "--output");
        }
        Self::Table
    }
}

#[cfg(test)]
mod tests {
    use std::ffi::OsString;

    use super::Format;

    #[test]
    fn the_form_is_found_in_arguments_that_make_no_sense() {
        let guess = |line: &str| Format::guess(line.split(' ').map(OsString::from));
        assert_eq!(guess("foundry -o json nonsense"), Format::Json);
        assert_eq!(guess("foundry nonsense --output=yaml"), Format::Yaml);
        assert_eq!(guess("foundry -ojson"), Format::Json);
        assert_eq!(guess("foundry json"), Format::Table);
    }
}
