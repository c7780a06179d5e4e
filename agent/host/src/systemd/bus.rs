//! systemd over the system bus.

use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use futures_util::stream::{self, BoxStream, StreamExt};
use tokio::sync::Mutex;
use zbus::message::Type;
use zbus::{Connection, DynamicType, MatchRule, Message, MessageStream, OwnedObjectPath};

use super::properties::{self, Properties};
use super::{JobResult, Systemd, SystemdError, UnitState, UnitVerb, journal};
use crate::exec::Exec;

const SYSTEMD: &str = "org.freedesktop.systemd1";
const MANAGER_PATH: &str = "/org/freedesktop/systemd1";
const MANAGER: &str = "org.freedesktop.systemd1.Manager";
const UNIT: &str = "org.freedesktop.systemd1.Unit";
const PROPERTIES: &str = "org.freedesktop.DBus.Properties";
const NO_SUCH_UNIT: &str = "org.freedesktop.systemd1.NoSuchUnit";

/// How long systemd may take to answer a call. Reloading a host with many units is slow.
const ANSWER: Duration = Duration::from_secs(90);

/// How many signals may wait. A full queue would hold up every answer on the connection.
const SIGNALS: NonZeroUsize = NonZeroUsize::new(1024).unwrap();

/// The service manager over the system bus; connected at first use, and again when the connection ended.
#[derive(Clone)]
pub struct SystemBus {
    connection: Arc<Mutex<Option<Connection>>>,
    exec: Arc<dyn Exec>,
}

// === impl SystemBus ===

impl SystemBus {
    /// Connects at first use. Programs are for the journal.
    pub fn new(exec: Arc<dyn Exec>) -> Self {
        Self {
            connection: Arc::default(),
            exec,
        }
    }

    async fn connection(&self) -> Result<Connection, SystemdError> {
        let mut kept = self.connection.lock().await;
        if let Some(connection) = kept.as_ref().filter(|connection| !connection.is_closed()) {
            return Ok(connection.clone());
        }
        let connection = zbus::connection::Builder::system()
            .method_timeout(ANSWER)
            .build()
            .await
            .map_err(SystemdError::Connect)?;
        // Without this, systemd sends no signals.
        call(&connection, MANAGER_PATH, MANAGER, "Subscribe", &())
            .await
            .map_err(SystemdError::Connect)?;
        *kept = Some(connection.clone());
        Ok(connection)
    }

    /// Calls the manager about a unit.
    async fn manage<B: serde::Serialize + DynamicType>(
        &self,
        action: &'static str,
        unit: &str,
        method: &'static str,
        body: &B,
    ) -> Result<Message, SystemdError> {
        let connection = self.connection().await?;
        call(&connection, MANAGER_PATH, MANAGER, method, body)
            .await
            .map_err(|source| SystemdError::call(action, unit, source))
    }

    async fn unit_path(&self, unit: &str) -> Result<OwnedObjectPath, SystemdError> {
        self.manage("load", unit, "LoadUnit", &(unit,))
            .await?
            .body()
            .deserialize()
            .map_err(|source| SystemdError::call("load", unit, source))
    }

    async fn properties(
        &self,
        unit: &str,
        path: &OwnedObjectPath,
        interface: &str,
    ) -> Result<Properties, SystemdError> {
        let error = |source| SystemdError::call("read the state of", unit, source);
        let connection = self.connection().await?;
        call(
            &connection,
            path.as_str(),
            PROPERTIES,
            "GetAll",
            &(interface,),
        )
        .await
        .map_err(error)?
        .body()
        .deserialize()
        .map_err(error)
    }

    async fn state_at(
        &self,
        unit: &str,
        path: &OwnedObjectPath,
    ) -> Result<UnitState, SystemdError> {
        let of_unit = self.properties(unit, path, UNIT).await?;
        let of_type = match properties::interface_of(unit) {
            Some(interface) => self.properties(unit, path, interface).await?,
            None => Properties::new(),
        };
        Ok(properties::state(&of_unit, &of_type))
    }

    async fn signals(
        connection: &Connection,
        path: &str,
        interface: &'static str,
        member: &'static str,
    ) -> Result<MessageStream, zbus::Error> {
        let rule = MatchRule::builder()
            .msg_type(Type::Signal)
            .sender(SYSTEMD)
            .path(path)
            .interface(interface)
            .member(member)
            .build()?;
        MessageStream::for_match_rule(rule, connection, Some(SIGNALS)).await
    }

    async fn run_job(&self, verb: UnitVerb, unit: &str) -> Result<JobResult, SystemdError> {
        let error = |source| SystemdError::call(verb.as_str(), unit, source);
        // Before the job is made: a short one is over before the answer is read.
        let connection = self.connection().await?;
        let signals = Self::signals(&connection, MANAGER_PATH, MANAGER, "JobRemoved");
        let mut removed = signals.await.map_err(error)?;
        let method = match verb {
            UnitVerb::Start => "StartUnit",
            UnitVerb::Restart => "RestartUnit",
            UnitVerb::Stop => "StopUnit",
        };
        let job: OwnedObjectPath = match self
            .manage(verb.as_str(), unit, method, &(unit, "replace"))
            .await
        {
            Ok(reply) => reply.body().deserialize().map_err(error)?,
            Err(SystemdError::Call { source, .. })
                if verb == UnitVerb::Stop && is_no_such_unit(&source) =>
            {
                return Ok(JobResult::Done);
            }
            Err(error) => return Err(error),
        };
        while let Some(signal) = removed.next().await {
            let body = signal.map_err(error)?.body();
            let (_, path, _, result): (u32, OwnedObjectPath, String, String) =
                body.deserialize().map_err(error)?;
            if path == job {
                return Ok(JobResult::from(result));
            }
        }
        Err(SystemdError::Lost {
            verb,
            unit: unit.to_owned(),
        })
    }
}

#[async_trait]
impl Systemd for SystemBus {
    async fn version(&self) -> Result<u32, SystemdError> {
        let connection = self.connection().await?;
        let error = |source| SystemdError::call("ask the version of", "systemd", source);
        let reply = call(
            &connection,
            MANAGER_PATH,
            PROPERTIES,
            "Get",
            &(MANAGER, "Version"),
        )
        .await
        .map_err(error)?;
        let version: zbus::OwnedVariant = reply.body().deserialize().map_err(error)?;
        Ok(properties::version(
            &String::try_from(version).map_err(error)?,
        ))
    }

    async fn state(&self, unit: &str) -> Result<UnitState, SystemdError> {
        let path = self.unit_path(unit).await?;
        self.state_at(unit, &path).await
    }

    async fn reload(&self) -> Result<(), SystemdError> {
        self.manage("reload", "unit files", "Reload", &())
            .await
            .map(drop)
    }

    async fn enable(&self, unit: &str) -> Result<(), SystemdError> {
        let body = (vec![unit], false, false);
        self.manage("enable", unit, "EnableUnitFiles", &body)
            .await?;
        self.reload().await
    }

    async fn disable(&self, unit: &str) -> Result<(), SystemdError> {
        self.manage("disable", unit, "DisableUnitFiles", &(vec![unit], false))
            .await?;
        self.reload().await
    }

    async fn run(
        &self,
        verb: UnitVerb,
        unit: &str,
        limit: Duration,
    ) -> Result<JobResult, SystemdError> {
        tokio::time::timeout(limit, self.run_job(verb, unit))
            .await
            .unwrap_or_else(|_| {
                Err(SystemdError::Deadline {
                    verb,
                    unit: unit.to_owned(),
                    limit,
                })
            })
    }

    async fn reset_failed(&self, unit: &str) -> Result<(), SystemdError> {
        match self
            .manage("reset", unit, "ResetFailedUnit", &(unit,))
            .await
        {
            Err(SystemdError::Call { source, .. }) if is_no_such_unit(&source) => Ok(()),
            other => other.map(drop),
        }
    }

    async fn watch(&self, unit: &str) -> Result<BoxStream<'static, UnitState>, SystemdError> {
        let path = self.unit_path(unit).await?;
        let connection = self.connection().await?;
        let changes = Self::signals(&connection, path.as_str(), PROPERTIES, "PropertiesChanged")
            .await
            .map_err(|source| SystemdError::call("watch", unit, source))?
            // A change comes as several signals at once: one look at the state answers them all.
            .ready_chunks(SIGNALS.get());
        let (bus, unit) = (self.clone(), unit.to_owned());
        let states = stream::unfold(
            (changes, bus, unit, path),
            |(mut changes, bus, unit, path)| async {
                changes.next().await?;
                let state = bus.state_at(&unit, &path).await.ok()?;
                Some((state, (changes, bus, unit, path)))
            },
        );
        Ok(states.boxed())
    }

    async fn journal(&self, unit: &str, lines: u32) -> Result<Vec<String>, SystemdError> {
        journal::last_lines(self.exec.as_ref(), unit, lines).await
    }
}

async fn call<B: serde::Serialize + DynamicType>(
    connection: &Connection,
    path: &str,
    interface: &str,
    method: &str,
    body: &B,
) -> Result<Message, zbus::Error> {
    connection
        .call_method(Some(SYSTEMD), path, Some(interface), method, body)
        .await
}

fn is_no_such_unit(error: &zbus::Error) -> bool {
    matches!(error, zbus::Error::MethodError(name, _, _) if name.as_str() == NO_SUCH_UNIT)
}
