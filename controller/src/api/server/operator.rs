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
use futures_util::stream::BoxStream;
use tokio_util::sync::CancellationToken;
use tonic::{Request, Response, Status, Streaming};

use crate::engine::Engine;

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

    async fn shutdown(&self, _: Request<ShutdownRequest>) -> Answer<ShutdownReply> {
        self.stop.cancel();
        Ok(Response::new(ShutdownReply {}))
    }
    async fn plan(&self, _: Request<PlanRequest>) -> Answer<Plan> {
        Err(later())
    }
    async fn start_run(&self, _: Request<StartRunRequest>) -> Answer<StartRunReply> {
        Err(later())
    }
    async fn watch_run(&self, _: Request<WatchRunRequest>) -> Answer<Stream<RunEvent>> {
        Err(later())
    }
    async fn answer_run(&self, _: Request<AnswerRunRequest>) -> Answer<AnswerRunReply> {
        Err(later())
    }
    async fn cancel_run(&self, _: Request<CancelRunRequest>) -> Answer<CancelRunReply> {
        Err(later())
    }
    async fn list_runs(&self, _: Request<ListRunsRequest>) -> Answer<ListRunsReply> {
        Err(later())
    }
    async fn get_run(&self, _: Request<GetRunRequest>) -> Answer<Run> {
        Err(later())
    }
    async fn get_lease(&self, _: Request<GetLeaseRequest>) -> Answer<Lease> {
        Err(later())
    }
    async fn steal_lease(&self, _: Request<StealLeaseRequest>) -> Answer<Lease> {
        Err(later())
    }
    async fn enrol(&self, _: Request<EnrolRequest>) -> Answer<EnrolReply> {
        Err(later())
    }
    async fn report_enrolment(&self, _: Request<EnrolmentReport>) -> Answer<ReportEnrolmentReply> {
        Err(later())
    }
    async fn await_host(&self, _: Request<AwaitHostRequest>) -> Answer<HostRecord> {
        Err(later())
    }
    async fn list_hosts(&self, _: Request<ListHostsRequest>) -> Answer<ListHostsReply> {
        Err(later())
    }
    async fn remove_host(&self, _: Request<RemoveHostRequest>) -> Answer<RemoveHostReply> {
        Err(later())
    }
    async fn status(&self, _: Request<StatusRequest>) -> Answer<Stream<StatusReport>> {
        Err(later())
    }
    async fn observe(&self, _: Request<ObserveRequest>) -> Answer<ObserveReport> {
        Err(later())
    }
    async fn events(&self, _: Request<EventsRequest>) -> Answer<Stream<EventRecord>> {
        Err(later())
    }
    async fn has_artifacts(&self, _: Request<HasArtifactsRequest>) -> Answer<HasArtifactsReply> {
        Err(later())
    }
    async fn put_artifact(
        &self,
        _: Request<Streaming<PutArtifactChunk>>,
    ) -> Answer<PutArtifactReply> {
        Err(later())
    }
    async fn get_artifact(&self, _: Request<GetArtifactRequest>) -> Answer<Stream<ArtifactChunk>> {
        Err(later())
    }
    async fn start_job(&self, _: Request<StartJobRequest>) -> Answer<Stream<JobEvent>> {
        Err(later())
    }
    async fn cancel_job(&self, _: Request<CancelJobRequest>) -> Answer<CancelJobReply> {
        Err(later())
    }
    async fn forward(&self, _: Request<Streaming<ForwardBytes>>) -> Answer<Stream<ForwardBytes>> {
        Err(later())
    }
    async fn bridge(&self, _: Request<Streaming<BridgeBytes>>) -> Answer<Stream<BridgeBytes>> {
        Err(later())
    }
    async fn backup(&self, _: Request<BackupRequest>) -> Answer<Stream<BackupChunk>> {
        Err(later())
    }
    async fn update_agents(&self, _: Request<UpdateAgentsRequest>) -> Answer<StartRunReply> {
        Err(later())
    }
}

fn later() -> Status {
    Status::unimplemented("this controller cannot do that yet")
}
