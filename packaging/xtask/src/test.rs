//! `cargo xtask test`: everything that has to hold before a change lands.
//!
//! Builds are shared: clippy checks once; the agent is built once as it is shipped, beside the checks (its link is one
//! thread's work); every test runs from one build with coverage.

use std::collections::BTreeMap;
use std::process::Command;

use anyhow::{Context, Result};
use camino::Utf8PathBuf;
use clap::ValueEnum;
use foundry_testbed as testbed;

use crate::places::Places;
use crate::program::{cargo, run as program};
use crate::report::{Stages, say};
use crate::{agent, codegen, setup};

/// Lines that unit tests, in-process fleets and the command line's tests must reach, in per cent.
const COVERAGE: &str = "80";

/// Not counted, each with its reason.
const NOT_COUNTED: [(&str, &str); 4] = [
    ("proto/src/gen/", "generated"),
    ("packaging/xtask/", "runs the tests"),
    ("tests/", "is the tests"),
    ("/main\\.rs$", "wires; the end-to-end tests run it"),
];

/// The tests that need real hosts.
const ON_HOSTS: &str = "binary(e2e) | (package(foundry-testbed) & kind(test))";

#[derive(clap::Args)]
pub(crate) struct Options {
    /// Only these stages.
    #[arg(long, value_enum, value_delimiter = ',')]
    only: Vec<Stage>,
    /// For the tests: only those that nextest's filter expression selects.
    #[arg(long, short = 'E')]
    filter: Option<String>,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Stage {
    /// Formatting, generated code, clippy, dependencies; the agent is built beside them.
    Check,
    /// Unit tests, in-process fleets, the command line; with coverage.
    Unit,
    /// Real hosts.
    E2e,
}

/// Runs the stages and prints how long each took.
pub(crate) fn run(places: &Places, options: &Options) -> Result<()> {
    let mut stages = Stages::default();
    let result = run_stages(places, options, &mut stages);
    stages.print();
    result
}

fn run_stages(places: &Places, options: &Options, stages: &mut Stages) -> Result<()> {
    let wanted = |stage| options.only.is_empty() || options.only.contains(&stage);
    stages.run("setup", || setup::run(places))?;
    std::thread::scope(|scope| {
        let agent = scope.spawn(|| agent::build(places));
        if wanted(Stage::Check) {
            check(places, stages)?;
        }
        let joined = stages.run("agent, static (beside the checks)", || {
            agent.join().ok().context("it panicked")
        });
        joined?.map(drop)
    })?;
    let covered = Covered::new(places)?;
    if wanted(Stage::Unit) {
        stages.run("build the tests, with coverage", || covered.build())?;
        stages.run("unit, in-process and command-line tests", || {
            covered.clean()?;
            covered.test(&format!("not ({ON_HOSTS})"), options.filter.as_deref())
        })?;
        if options.filter.is_none() {
            stages.run("coverage", || covered.report())?;
        }
    }
    if wanted(Stage::E2e) {
        stages.run("build for the hosts", || covered.build())?;
        stages.run("tests on real hosts", || {
            covered.test(ON_HOSTS, options.filter.as_deref())
        })?;
    }
    Ok(())
}

fn check(places: &Places, stages: &mut Stages) -> Result<()> {
    stages.run("formatting", || {
        program(cargo(places).args(["fmt", "--all", "--check"]))
    })?;
    stages.run("generated code", || codegen::run(&places.root, true))?;
    stages.run("dependencies", || {
        program(cargo(places).args([
            "deny",
            "--log-level",
            "warn",
            "check",
            "bans",
            "licenses",
            "sources",
        ]))
    })?;
    stages.run("clippy", || {
        let mut clippy = cargo(places);
        clippy.args([
            "clippy",
            "--quiet",
            "--workspace",
            "--all-targets",
            "--",
            "-D",
            "warnings",
        ]);
        program(&mut clippy)
    })
}

/// One build of everything with coverage, and its tests.
struct Covered<'p> {
    places: &'p Places,
    /// What cargo-llvm-cov sets for such a build.
    environment: BTreeMap<String, String>,
    target: Utf8PathBuf,
}

// === impl Covered ===

impl<'p> Covered<'p> {
    fn new(places: &'p Places) -> Result<Self> {
        let target = places.target.join("covered");
        let mut show = cargo(places);
        show.env("CARGO_TARGET_DIR", &target)
            .args(["llvm-cov", "show-env", "--sh"]);
        let shown = testbed::run(&mut show)?.success()?;
        let variables = shown
            .lines()
            .filter_map(|line| line.strip_prefix("export ")?.split_once('='));
        let environment = variables
            .map(|(name, value)| (name.to_owned(), unquote(value)))
            .collect();
        Ok(Self {
            places,
            environment,
            target,
        })
    }

    fn cargo(&self) -> Command {
        let mut command = cargo(self.places);
        command
            .envs(&self.environment)
            .env("CARGO_TARGET_DIR", &self.target);
        // What nothing recompiles in a CI run needs no incremental state.
        if std::env::var_os("CI").is_some() {
            command.env("CARGO_INCREMENTAL", "0");
        }
        command
    }

    /// The tests and the two programs that they run.
    fn build(&self) -> Result<()> {
        let mut programs = self.cargo();
        programs.args([
            "build",
            "--quiet",
            "--bins",
            "--package",
            "foundry",
            "--package",
            "foundry-agent",
        ]);
        program(&mut programs)?;
        program(self.nextest().args(["--no-run", "--cargo-quiet"]))
    }

    fn nextest(&self) -> Command {
        let mut command = self.cargo();
        command.args(["nextest", "run", "--workspace", "--exclude", "xtask"]);
        command
    }

    /// Forgets what earlier runs have covered.
    fn clean(&self) -> Result<()> {
        program(
            self.cargo()
                .args(["llvm-cov", "clean", "--workspace", "--profraw-only"]),
        )
    }

    fn test(&self, selected: &str, filter: Option<&str>) -> Result<()> {
        let expression = match filter {
            Some(filter) => format!("({selected}) & ({filter})"),
            None => selected.to_owned(),
        };
        let profile = if std::env::var_os("CI").is_some() {
            "ci"
        } else {
            "default"
        };
        let mut nextest = self.nextest();
        nextest.args([
            "--cargo-quiet",
            "--profile",
            profile,
            "--no-tests",
            "pass",
            "-E",
            &expression,
        ]);
        nextest.env("FOUNDRY_TEST_BIN", self.target.join("debug"));
        nextest.env("FOUNDRY_AGENT_DIR", self.places.agents());
        nextest.env("FOUNDRY_TEST_WHOAMI", self.places.musl_binary("whoami"));
        program(&mut nextest)
    }

    fn report(&self) -> Result<()> {
        let not_counted: Vec<&str> = NOT_COUNTED.iter().map(|(pattern, _)| *pattern).collect();
        for (pattern, reason) in NOT_COUNTED {
            say(format!("not counted: {pattern} ({reason})"));
        }
        let mut report = self.cargo();
        report.args([
            "llvm-cov",
            "report",
            "--summary-only",
            "--fail-under-lines",
            COVERAGE,
        ]);
        program(report.args(["--ignore-filename-regex", &not_counted.join("|")]))
    }
}

/// A value as a shell would read it: in single quotes where it needs them.
fn unquote(value: &str) -> String {
    let value = value.trim_end_matches(';');
    value
        .strip_prefix('\'')
        .and_then(|rest| rest.strip_suffix('\''))
        .unwrap_or(value)
        .replace("'\\''", "'")
}

#[cfg(test)]
mod tests {
    use super::unquote;

    #[test]
    fn quotes_are_the_shells() {
        assert_eq!(unquote("plain"), "plain");
        assert_eq!(unquote("'-C a -C b'"), "-C a -C b");
        assert_eq!(unquote("'it'\\''s'"), "it's");
    }
}
