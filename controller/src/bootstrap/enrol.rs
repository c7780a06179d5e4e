//! One host, from login to session.

use foundry_proto::agent::v1::{EnrolGrant, EnrolOffer, EnrolResult, enrol_result::Kind};
use foundry_proto::operator::v1 as wire;
use foundry_proto::{Digest, FleetId};
use secrecy::SecretString;
use tonic::Status;

use super::agents::{Agent, Agents};
use super::cause::Cause;
use super::channel::Channel;
use super::dialogue::Turn;
use super::hello::{Enrolled, Hello};
use super::order::{Order, Target};
use super::settings::Settings;
use super::ssh::{Mode, UnknownKeys};
use crate::api::client::Client;
use crate::api::error::ApiError;
use crate::output::time;

/// Beyond this, in seconds, certificates would not be valid on the host.
const CLOCK_LIMIT: i64 = 12 * 3600;

/// From here on it is worth a warning, in seconds.
const CLOCK_WARNING: i64 = 60;

/// How long a started agent may take to come, in milliseconds.
const SESSION_MS: u64 = 30_000;

/// How long an agent that should be there already may take to come, in milliseconds.
const PRESENT_MS: u64 = 500;

/// What all hosts of an order have in common.
#[derive(Debug, Clone)]
pub(super) struct Job {
    pub settings: Settings,
    pub agents: Agents,
    pub client: Client,
    pub fleet: FleetId,
    pub advertise: Vec<String>,
    pub take_over: bool,
    pub keys: UnknownKeys,
}

/// How it went well.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Success {
    /// The host was enrolled now; else it was before.
    pub enrolled: bool,
    /// On the way to the host, in bytes.
    pub sent: u64,
    /// What should be looked at.
    pub warnings: Vec<String>,
}

// === impl Job ===

impl Job {
    pub(super) fn new(settings: &Settings, order: &Order, client: Client) -> Self {
        Self {
            settings: settings.clone(),
            agents: Agents::new(settings),
            client,
            fleet: order.fleet.clone(),
            advertise: order.advertise.clone(),
            take_over: order.take_over,
            keys: if order.accept_new_host_keys {
                UnknownKeys::Accept
            } else {
                UnknownKeys::Strict
            },
        }
    }

    /// Enrols this host; `say` hears what is being done.
    pub(super) async fn enrol(
        &self,
        target: &Target,
        mode: Mode,
        password: Option<&SecretString>,
        say: &(dyn Fn(&str) + Sync),
    ) -> Result<Success, Cause> {
        refuse_unsupported(target)?;
        say("logging in");
        let mut channel = Channel::open(&self.settings, target, mode, self.keys)?;
        let hello = greet(&mut channel, password).await?;
        let mut success = Success {
            warnings: warnings(&hello),
            ..Success::default()
        };
        let agent = self.examine(&hello).await?;
        if self.is_there(target, &hello, &agent).await {
            let quit = channel.dialogue().quit();
            channel.send(quit);
            channel.end().await;
            return Ok(success);
        }
        if hello.agent == Some(agent.digest) {
            let keep = channel.dialogue().keep(&agent.digest);
            channel.send(keep);
        } else {
            let packed = self.agents.packed(&agent).await?;
            say(&format!(
                "sending the agent, {:.1} MB",
                packed.len() as f64 / 1e6
            ));
            let announced = channel.dialogue().send(packed.len(), &agent.digest);
            success.sent = packed.len() as u64;
            channel.send(announced);
            channel.send(packed);
        }
        self.grant(&mut channel, target, &hello, say).await?;
        success.enrolled = true;
        say("waiting for its session");
        if let Err(cause) = self.session(target, &agent.digest, SESSION_MS).await {
            return Err(explain(&mut channel, cause).await);
        }
        channel.end().await;
        Ok(success)
    }

    /// What keeps this host from being enrolled; else the agent for it. Nothing was changed on it yet.
    async fn examine(&self, hello: &Hello) -> Result<Agent, Cause> {
        if hello.systemd.is_none() {
            return Err(Cause::NoSystemd {
                init: hello.init.clone(),
            });
        }
        let offset = clock_offset(hello);
        if offset.abs() > CLOCK_LIMIT {
            return Err(Cause::Clock { offset });
        }
        if let Some(other) = &hello.enrolled
            && other.fleet != self.fleet.as_str()
            && !self.take_over
        {
            return Err(other_fleet(other));
        }
        self.agents.of(&hello.architecture).await
    }

    /// The host has this agent, is of this fleet, and its session is up.
    async fn is_there(&self, target: &Target, hello: &Hello, agent: &Agent) -> bool {
        let Some(enrolled) = &hello.enrolled else {
            return false;
        };
        if hello.agent != Some(agent.digest) || enrolled.fleet != self.fleet.as_str() {
            return false;
        }
        match self.session(target, &agent.digest, PRESENT_MS).await {
            Ok(record) => record.id == enrolled.host_id,
            Err(_) => false,
        }
    }

    /// From the agent's offer to its last word.
    async fn grant(
        &self,
        channel: &mut Channel,
        target: &Target,
        hello: &Hello,
        say: &(dyn Fn(&str) + Sync),
    ) -> Result<(), Cause> {
        let turn = channel.next().await?;
        let Turn::Offer(offer) = turn else {
            return Err(out_of_turn(&turn));
        };
        say("enrolling");
        let grant = self.ask_controller(target, hello, *offer).await?;
        let grant = channel.dialogue().grant(grant);
        channel.send(grant);
        let turn = channel.next().await?;
        let Turn::Result(result) = turn else {
            return Err(out_of_turn(&turn));
        };
        outcome(result)
    }

    async fn ask_controller(
        &self,
        target: &Target,
        hello: &Hello,
        offer: EnrolOffer,
    ) -> Result<EnrolGrant, Cause> {
        let request = wire::EnrolRequest {
            hostname: target.hostname.clone(),
            address: target.address.clone(),
            facts: offer.facts,
            csr: offer.csr,
            seen_address: hello.client.clone(),
            current: offer.current,
            take_over: self.take_over,
            advertise: self.advertise.clone(),
            labels: target.labels.clone(),
        };
        let reply = self
            .client
            .clone()
            .enrol(request)
            .await
            .map_err(|status| refused(&status))?;
        let reply = reply.into_inner();
        Ok(EnrolGrant {
            fleet: reply.fleet,
            host_id: reply.host_id,
            hostname: target.hostname.clone(),
            chain: reply.chain,
            trusted_cas: reply.trusted_cas,
            addresses: reply.addresses,
            hmac_key: reply.hmac_key,
            epoch: reply.epoch,
        })
    }

    async fn session(
        &self,
        target: &Target,
        agent: &Digest,
        timeout_ms: u64,
    ) -> Result<wire::HostRecord, Cause> {
        let request = wire::AwaitHostRequest {
            hostname: target.hostname.clone(),
            timeout_ms,
            agent_digest: agent.to_bytes(),
        };
        let record = self.client.clone().await_host(request).await;
        record
            .map(tonic::Response::into_inner)
            .map_err(|status| refused(&status))
    }
}

/// Up to the host's hello, by way of sudo's question.
pub(super) async fn greet(
    channel: &mut Channel,
    password: Option<&SecretString>,
) -> Result<Hello, Cause> {
    loop {
        match channel.next().await? {
            Turn::Hello(hello) => return Ok(hello),
            Turn::Password => match password {
                Some(password) => channel.send_password(password),
                None => return Err(Cause::SudoNeedsPassword),
            },
            turn @ (Turn::Offer(_)
            | Turn::Result(_)
            | Turn::Ended
            | Turn::Journal(_)
            | Turn::Closed) => return Err(out_of_turn(&turn)),
        }
    }
}

/// What this version does not do.
pub(super) fn refuse_unsupported(target: &Target) -> Result<(), Cause> {
    if target.is_local() {
        return Err(Cause::NotSupported(
            "`address: local` does not work yet: give the host's address",
        ));
    }
    if !target.dials {
        return Err(Cause::NotSupported(
            "`reach: ssh` does not work yet: the agent must dial",
        ));
    }
    Ok(())
}

/// Seconds that the host's clock is ahead of this one.
pub(super) fn clock_offset(hello: &Hello) -> i64 {
    if hello.clock == 0 {
        0
    } else {
        hello.clock - jiff::Timestamp::now().as_second()
    }
}

fn warnings(hello: &Hello) -> Vec<String> {
    let offset = clock_offset(hello);
    if offset.abs() < CLOCK_WARNING {
        Vec::new()
    } else {
        vec![Cause::Clock { offset }.to_string()]
    }
}

pub(super) fn other_fleet(other: &Enrolled) -> Cause {
    let since = u64::try_from(other.since).unwrap_or_default();
    let since = if since == 0 {
        String::new()
    } else {
        time::local(since.saturating_mul(1000))
    };
    Cause::OtherFleet {
        fleet: other.fleet.clone(),
        since,
    }
}

fn outcome(result: EnrolResult) -> Result<(), Cause> {
    match result.kind() {
        Kind::Enrolled => Ok(()),
        Kind::Unreachable => Err(Cause::Unreachable(result.message)),
        Kind::Disk => Err(Cause::NoSpace),
        Kind::Unspecified | Kind::Clock | Kind::Systemd | Kind::Failed => {
            Err(Cause::Agent(result.message))
        }
    }
}

/// The journal says more than that a session did not come.
async fn explain(channel: &mut Channel, cause: Cause) -> Cause {
    while let Ok(turn) = channel.next().await {
        match turn {
            Turn::Ended => {
                let ask = channel.dialogue().ask_for_journal();
                channel.send(ask);
            }
            Turn::Journal(journal) => return Cause::NoSession { journal },
            Turn::Password | Turn::Hello(_) | Turn::Offer(_) | Turn::Result(_) | Turn::Closed => {
                break;
            }
        }
    }
    cause
}

fn refused(status: &Status) -> Cause {
    let error = ApiError::from_status(status);
    let mut parts = vec![error.message];
    parts.extend(error.causes);
    Cause::Controller {
        message: parts.join(": "),
        hints: error.hints,
    }
}

fn out_of_turn(turn: &Turn) -> Cause {
    let what = match turn {
        Turn::Password => "a question of sudo's",
        Turn::Hello(_) => "a second greeting",
        Turn::Offer(_) => "a second offer",
        Turn::Result(result) => return Cause::Agent(result.message.clone()),
        Turn::Ended | Turn::Journal(_) => "the end of the agent's enrolment",
        Turn::Closed => "the end of the connection",
    };
    Cause::Protocol(format!("{what} came out of turn"))
}

#[cfg(test)]
mod tests {
    use foundry_proto::agent::v1::{EnrolResult, enrol_result::Kind};

    use super::{clock_offset, other_fleet, outcome, warnings};
    use crate::bootstrap::cause::Cause;
    use crate::bootstrap::hello::{Enrolled, Hello};

    #[test]
    fn a_clock_far_off_is_a_cause_and_a_near_one_a_warning() {
        let now = jiff::Timestamp::now().as_second();
        let behind = Hello {
            clock: now - 14 * 3600,
            ..Hello::default()
        };
        let offset = clock_offset(&behind);
        assert_eq!(Cause::Clock { offset }.to_string(), "clock is 14 h behind");
        let near = Hello {
            clock: now + 601,
            ..Hello::default()
        };
        assert_eq!(warnings(&near), ["clock is 10 min ahead"]);
        assert!(
            warnings(&Hello {
                clock: now,
                ..Hello::default()
            })
            .is_empty()
        );
    }

    #[test]
    fn another_fleet_is_named_with_its_age() {
        let other = Enrolled {
            fleet: "old-1".to_owned(),
            host_id: String::new(),
            since: 0,
        };
        assert_eq!(
            other_fleet(&other).to_string(),
            "it belongs to fleet `old-1`"
        );
        let other = Enrolled {
            since: 1_700_000_000,
            ..other
        };
        assert!(
            other_fleet(&other)
                .to_string()
                .starts_with("it belongs to fleet `old-1` since 2023-11-1")
        );
    }

    #[test]
    fn the_agents_last_word_has_names() {
        let result = |kind: Kind| EnrolResult {
            kind: kind.into(),
            message: "10.0.0.5:7443 not reachable from host".to_owned(),
            ..Default::default()
        };
        assert_eq!(outcome(result(Kind::Enrolled)), Ok(()));
        let unreachable = outcome(result(Kind::Unreachable)).unwrap_err();
        assert_eq!(
            unreachable.to_string(),
            "10.0.0.5:7443 not reachable from host"
        );
        assert_eq!(outcome(result(Kind::Disk)), Err(Cause::NoSpace));
    }
}
