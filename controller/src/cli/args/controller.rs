//! `foundry controller`.

use std::time::Duration;

use clap::{Args, Subcommand};

/// The process that the agents dial. Commands start it where it is needed.
#[derive(Debug, Subcommand)]
pub enum ControllerCommand {
    /// Be the controller of a fleet, in the foreground
    Run(Run),
    /// Say whether one runs, and where it listens
    Status,
    /// End it; agents finish what they have accepted
    Stop {
        /// Although a run is under way, which then reads `interrupted`
        #[arg(long)]
        force: bool,
    },
}

/// Options of `controller run`.
#[derive(Debug, Args)]
pub struct Run {
    /// The fleet [default: the one that stack.yaml names]
    #[arg(long)]
    pub fleet: Option<String>,

    /// Where agents dial [default: `controller.listen` of stack.yaml, else [::]:7443]
    #[arg(long, value_name = "ADDRESS:PORT")]
    pub listen: Option<String>,

    /// End after this long with nothing to do: 90s, 10m, 1h
    #[arg(long, value_name = "TIME", value_parser = duration)]
    pub idle_exit: Option<Duration>,

    /// Leave the terminal's session and say `ready` on standard output
    #[arg(long, hide = true)]
    pub background: bool,
}

/// Reads `500ms`, `90s`, `10m`, `1h`.
fn duration(text: &str) -> Result<Duration, String> {
    let split = text
        .find(|c: char| !c.is_ascii_digit())
        .unwrap_or(text.len());
    let (number, unit) = text.split_at(split);
    let number: u64 = number
        .parse()
        .map_err(|_| "a number and a unit, as in 10m".to_owned())?;
    match unit {
        "ms" => Ok(Duration::from_millis(number)),
        "s" => Ok(Duration::from_secs(number)),
        "m" => Ok(Duration::from_secs(number.saturating_mul(60))),
        "h" => Ok(Duration::from_secs(number.saturating_mul(3600))),
        _ => Err("the unit is one of ms, s, m, h".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::duration;

    #[test]
    fn durations_need_a_unit() {
        assert_eq!(duration("10m"), Ok(Duration::from_secs(600)));
        assert_eq!(duration("250ms"), Ok(Duration::from_millis(250)));
        assert!(duration("10").is_err());
        assert!(duration("m").is_err());
    }
}
