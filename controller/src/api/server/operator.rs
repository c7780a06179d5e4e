//! The calls of the operator API, each handed to the engine.

use std::time::Duration;

use foundry_proto::agent::v1::ArtifactChunk;
use foundry_proto::operator::v1::{
    AnswerRunReply, AnswerRunRequest, AwaitHostRequest, BackupChunk, BackupRequest, BridgeBytes,
    CancelJobReply, CancelJobRequest, CancelRunReply, CancelRunRequest, EnrolReply, EnrolRequest,
    EnrolmentReport, EventRecord, EventsRequest, ForwardBytes, GetArtifactRequest, GetInfoRequest,
    GetLeaseRequest, GetRunRequest, HasArtifactsReply, HasArtifactsRequest, HostRecord, Info,
    JobEvent, Lease, ListHostsReply, ListHostsRequest, ListRunsReply, ListRunsRequest,
    ObserveReport, ObserveRequest, Plan, PlanRequest, PutArtifactChunk, PutArtifactReply,
    RemoveHostReply, RemoveHostRequest, ReportEnrolmentReply, Run, RunEvent, ShutdownReply,
    ShutdownRequest, StartJobRequest, StartRunReply, StartRunRequest, StatusReport, StatusRequest,
    StealLeaseRequest, UpdateAgentsRequest, WatchRunRequest, operator_server,
};
use futures_util::StreamExt as _;
use futures_util::stream::BoxStream;
use tokio_util::sync::CancellationToken;
use tonic::{Request, Response, Status, Streaming};

use super::artifacts;
use super::connection::Caller;
use crate::api::error::ApiError;
use crate::engine::{Engine, EngineError};

type Answer<T> = Result<Response<T>, Status>;
type Stream<T> = BoxStream<'static, Result<T, Status>>;

/// The operator API over an engine.
pub(super) struct Operator {
    engine: Engine,
    idle_exit: Option<Duration>,
    stop: CancellationToken,
}

// === impl Operator ===

impl Operator {
    pub(super) fn new(
        engine: Engine,
        idle_exit: Option<Duration>,
        stop: CancellationToken,
    ) -> Self {
        Self {
            engine,
            idle_exit,
            stop,
        }
    }
}

#[tonic::async_trait]
impl operator_server::Operator for Operator {
    type WatchRunStream = Stream<RunEvent>;
    type StatusStream = Stream<StatusReport>;
    type EventsStream = Stream<EventRecord>;
    type GetArtifactStream = Stream<ArtifactChunk>;
    type StartJobStream = Stream<JobEvent>;
    type ForwardStream = Stream<ForwardBytes>;
    type BridgeStream = Stream<BridgeBytes>;
    type BackupStream = Stream<BackupChunk>;

    async fn get_info(&self, _: Request<GetInfoRequest>) -> Answer<Info> {
        let idle_exit_ms = self.idle_exit.map_or(0, |idle| idle.as_millis());
        let idle_exit_ms = u64::try_from(idle_exit_ms).unwrap_or(u64::MAX);
        Ok(Response::new(Info {
            idle_exit_ms,
            ..self.engine.info()
        }))
    }

    async fn shutdown(&self, request: Request<ShutdownRequest>) -> Answer<ShutdownReply> {
        match self.engine.running() {
            Some(run) if !request.into_inner().force => Err(refuse(EngineError::Running { run })),
            _ => {
                self.stop.cancel();
                Ok(Response::new(ShutdownReply {}))
            }
        }
    }

    // --- plans and runs ---

    async fn plan(&self, request: Request<PlanRequest>) -> Answer<Plan> {
        answer(self.engine.plan(request.into_inner()).await)
    }

    async fn start_run(&self, request: Request<StartRunRequest>) -> Answer<StartRunReply> {
        let started = self.engine.start_run(request.into_inner()).await;
        answer(started.map(|run| StartRunReply { run }))
    }

    async fn watch_run(&self, request: Request<WatchRunRequest>) -> Answer<Stream<RunEvent>> {
        let WatchRunRequest { run, after } = request.into_inner();
        let events = self.engine.watch_run(&run, after).await;
        answer(events.map(|events| events.map(Ok).boxed()))
    }

    async fn answer_run(&self, request: Request<AnswerRunRequest>) -> Answer<AnswerRunReply> {
        let AnswerRunRequest {
            run,
            question,
            go_on,
        } = request.into_inner();
        answer(
            self.engine
                .answer_run(&run, &question, go_on)
                .map(|()| AnswerRunReply {}),
        )
    }

    async fn cancel_run(&self, request: Request<CancelRunRequest>) -> Answer<CancelRunReply> {
        let cancelled = self.engine.cancel_run(&request.into_inner().run).await;
        answer(cancelled.map(|()| CancelRunReply {}))
    }

    async fn list_runs(&self, request: Request<ListRunsRequest>) -> Answer<ListRunsReply> {
        let runs = self.engine.list_runs(request.into_inner().most).await;
        answer(runs.map(|runs| ListRunsReply { runs }))
    }

    async fn get_run(&self, request: Request<GetRunRequest>) -> Answer<Run> {
        answer(self.engine.get_run(&request.into_inner().run).await)
    }

    async fn get_lease(&self, _: Request<GetLeaseRequest>) -> Answer<Lease> {
        answer(self.engine.lease().await)
    }

    async fn steal_lease(&self, request: Request<StealLeaseRequest>) -> Answer<Lease> {
        answer(self.engine.steal_lease(&request.into_inner().who).await)
    }

    // --- hosts ---

    async fn enrol(&self, request: Request<EnrolRequest>) -> Answer<EnrolReply> {
        answer(self.engine.enrol(request.into_inner()).await)
    }

    async fn report_enrolment(
        &self,
        request: Request<EnrolmentReport>,
    ) -> Answer<ReportEnrolmentReply> {
        let caller = request.extensions().get::<Caller>().cloned();
        let caller = caller.ok_or_else(|| Status::internal("a call without its connection"))?;
        let reported =
            self.engine
                .report_enrolment(request.into_inner(), caller.connection, &caller.gone);
        answer(reported.map(|()| ReportEnrolmentReply {}))
    }

    async fn await_host(&self, request: Request<AwaitHostRequest>) -> Answer<HostRecord> {
        answer(self.engine.await_host(request.into_inner()).await)
    }

    async fn list_hosts(&self, _: Request<ListHostsRequest>) -> Answer<ListHostsReply> {
        Ok(Response::new(ListHostsReply {
            hosts: self.engine.list_hosts(),
        }))
    }

    async fn remove_host(&self, request: Request<RemoveHostRequest>) -> Answer<RemoveHostReply> {
        answer(self.engine.remove_host(request.into_inner()).await)
    }

    // --- what is ---

    async fn status(&self, request: Request<StatusRequest>) -> Answer<Stream<StatusReport>> {
        let reports = self.engine.status(request.into_inner()).await;
        answer(reports.map(|reports| reports.map(Ok).boxed()))
    }

    async fn observe(&self, request: Request<ObserveRequest>) -> Answer<ObserveReport> {
        answer(self.engine.observe(request.into_inner()).await)
    }

    async fn events(&self, request: Request<EventsRequest>) -> Answer<Stream<EventRecord>> {
        let events = self.engine.events(request.into_inner()).await;
        answer(events.map(|events| events.map(|event| event.map_err(refuse)).boxed()))
    }

    // --- files by digest ---

    async fn has_artifacts(
        &self,
        request: Request<HasArtifactsRequest>,
    ) -> Answer<HasArtifactsReply> {
        artifacts::has(self.engine.artifacts(), &request.into_inner()).map(Response::new)
    }

    async fn put_artifact(
        &self,
        request: Request<Streaming<PutArtifactChunk>>,
    ) -> Answer<PutArtifactReply> {
        artifacts::put(self.engine.artifacts(), request.into_inner())
            .await
            .map(Response::new)
    }

    async fn get_artifact(
        &self,
        request: Request<GetArtifactRequest>,
    ) -> Answer<Stream<ArtifactChunk>> {
        artifacts::get(self.engine.artifacts(), &request.into_inner())
            .await
            .map(Response::new)
    }

    // --- not in this version ---

    async fn start_job(&self, _: Request<StartJobRequest>) -> Answer<Stream<JobEvent>> {
        Err(not_in_this_version("jobs"))
    }

    async fn cancel_job(&self, _: Request<CancelJobRequest>) -> Answer<CancelJobReply> {
        Err(not_in_this_version("jobs"))
    }

    async fn forward(&self, _: Request<Streaming<ForwardBytes>>) -> Answer<Stream<ForwardBytes>> {
        Err(not_in_this_version("forwarding"))
    }

    async fn bridge(&self, _: Request<Streaming<BridgeBytes>>) -> Answer<Stream<BridgeBytes>> {
        Err(not_in_this_version("bridges"))
    }

    async fn backup(&self, _: Request<BackupRequest>) -> Answer<Stream<BackupChunk>> {
        Err(not_in_this_version("backups"))
    }

    async fn update_agents(&self, _: Request<UpdateAgentsRequest>) -> Answer<StartRunReply> {
        Err(not_in_this_version("agent upgrades"))
    }
}

fn answer<T>(result: Result<T, EngineError>) -> Answer<T> {
    result.map(Response::new).map_err(refuse)
}

fn refuse(error: EngineError) -> Status {
    ApiError::from(error).to_status()
}

fn not_in_this_version(what: &str) -> Status {
    Status::unimplemented(format!("this version of the controller has no {what}"))
}
