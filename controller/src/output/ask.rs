//! Questions to the user. Nothing is ever asked without a terminal: the caller names the flag that answers instead.

use inquire::{Confirm, InquireError, Password, PasswordDisplayMode, Text};
use secrecy::SecretString;

use super::Printer;
use crate::cli::CliError;

impl Printer {
    /// Yes or no; no is what an empty answer means.
    ///
    /// # Errors
    ///
    /// Nobody can be asked (the hint names `flag`), or the user left.
    pub fn confirm(&self, question: &str, flag: &str) -> Result<bool, CliError> {
        self.can_ask(question, flag)?;
        Confirm::new(question)
            .with_default(false)
            .prompt()
            .map_err(left)
    }

    /// Whether the user types exactly this word.
    ///
    /// # Errors
    ///
    /// Nobody can be asked (the hint names `flag`), or the user left.
    pub fn confirm_by_name(
        &self,
        question: &str,
        name: &str,
        flag: &str,
    ) -> Result<bool, CliError> {
        self.can_ask(question, flag)?;
        Text::new(question)
            .prompt()
            .map(|typed| typed.trim() == name)
            .map_err(left)
    }

    /// A line of text, with what an empty answer means.
    ///
    /// # Errors
    ///
    /// Nobody can be asked (the hint names `flag`), or the user left.
    pub fn text(&self, question: &str, default: &str, flag: &str) -> Result<String, CliError> {
        self.can_ask(question, flag)?;
        let prompt = Text::new(question);
        let prompt = if default.is_empty() {
            prompt
        } else {
            prompt.with_default(default)
        };
        prompt
            .prompt()
            .map(|typed| typed.trim().to_owned())
            .map_err(left)
    }

    /// A password, not shown while it is typed.
    ///
    /// # Errors
    ///
    /// Nobody can be asked (the hint names `flag`), or the user left.
    pub fn password(&self, question: &str, flag: &str) -> Result<SecretString, CliError> {
        self.can_ask(question, flag)?;
        let prompt = Password::new(question).with_display_mode(PasswordDisplayMode::Hidden);
        prompt
            .without_confirmation()
            .prompt()
            .map(SecretString::from)
            .map_err(left)
    }

    fn can_ask(&self, question: &str, flag: &str) -> Result<(), CliError> {
        if self.settings().can_ask {
            return Ok(());
        }
        let question = question.trim_end_matches([':', '?', ' ']);
        Err(
            CliError::usage(format!("there is no terminal to ask on: {question}"))
                .hint(format!("answer beforehand: `{flag}`")),
        )
    }
}

fn left(error: InquireError) -> CliError {
    if matches!(
        error,
        InquireError::OperationCanceled | InquireError::OperationInterrupted
    ) {
        return CliError::interrupted();
    }
    CliError::because("cannot ask on this terminal", error)
}
