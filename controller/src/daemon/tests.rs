//! The whole controller in one process.

use std::os::unix::fs::PermissionsExt as _;
use std::time::Duration;

use camino::{Utf8Path, Utf8PathBuf};
use foundry_proto::FleetId;
use foundry_proto::operator::v1::operator_client::OperatorClient;
use foundry_proto::operator::v1::{
    EnrolRequest, GetInfoRequest, HasArtifactsRequest, PutArtifactChunk, ShutdownRequest,
    StartRunRequest,
};
use hyper_util::rt::TokioIo;
use tempfile::TempDir;
use tokio::net::{TcpListener, UnixStream};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tonic::transport::{Channel, Endpoint};

use super::{DaemonError, Options, Ready, run};
use crate::api::error::{ApiError, ErrorKind};
use crate::state::{Paths, StateError, create_fleet};

const PATIENCE: Duration = Duration::from_secs(20);

/// A controller and the folder that it owns.
struct Controller {
    home: Utf8PathBuf,
    fleet: FleetId,
    stop: CancellationToken,
    ready: Ready,
    ended: JoinHandle<Result<(), DaemonError>>,
    _folder: TempDir,
}

fn new_fleet(below: &str) -> (TempDir, Utf8PathBuf, FleetId) {
    let folder = tempfile::tempdir().unwrap();
    let home = Utf8Path::from_path(folder.path()).unwrap().join(below);
    let fleet = create_fleet(&home, "test").unwrap();
    (folder, home, fleet)
}

async fn start(
    (folder, home, fleet): (TempDir, Utf8PathBuf, FleetId),
    listen: &str,
    idle: Option<Duration>,
) -> Controller {
    let options = Options {
        home: home.clone(),
        fleet: fleet.clone(),
        idle_exit: idle,
        listen: Some(listen.to_owned()),
    };
    let stop = CancellationToken::new();
    let (tell, told) = oneshot::channel();
    let ready = move |ready| {
        let _ = tell.send(ready);
    };
    let ended = tokio::spawn(run(options, stop.clone(), ready));
    let ready = tokio::time::timeout(PATIENCE, told)
        .await
        .unwrap()
        .expect("it is ready");
    Controller {
        home,
        fleet,
        stop,
        ready,
        ended,
        _folder: folder,
    }
}

async fn dial(path: &Utf8Path) -> OperatorClient<Channel> {
    let path = path.to_owned();
    let connect = tower::service_fn(move |_| {
        let path = path.clone();
        async move { UnixStream::connect(&path).await.map(TokioIo::new) }
    });
    let endpoint = Endpoint::from_static("http://controller");
    OperatorClient::new(endpoint.connect_with_connector(connect).await.unwrap())
}

async fn ended(controller: Controller) -> (Utf8PathBuf, FleetId, TempDir) {
    let ended = tokio::time::timeout(PATIENCE, controller.ended)
        .await
        .expect("it ends");
    ended.unwrap().unwrap();
    (controller.home, controller.fleet, controller._folder)
}

#[tokio::test]
async fn it_serves_its_owner_and_ends_when_told_to() {
    let controller = start(new_fleet("home"), "127.0.0.1:0", None).await;
    let paths = Paths::new(&controller.home, &controller.fleet);
    let socket = controller.ready.socket.clone();
    assert_eq!(socket, paths.socket());
    assert_eq!(
        fs_err::metadata(&socket).unwrap().permissions().mode() & 0o777,
        0o600
    );

    let options = Options {
        home: controller.home.clone(),
        fleet: controller.fleet.clone(),
        idle_exit: None,
        listen: None,
    };
    let second = run(options, CancellationToken::new(), |_| {})
        .await
        .unwrap_err();
    assert!(
        matches!(second, DaemonError::State(StateError::Held { .. })),
        "{second}"
    );

    let mut client = dial(&socket).await;
    let info = client
        .get_info(GetInfoRequest {})
        .await
        .unwrap()
        .into_inner();
    assert_eq!(
        (info.fleet.as_str(), info.idle_exit_ms),
        (controller.fleet.as_str(), 0)
    );
    assert_eq!(info.listen, controller.ready.listen);
    client.shutdown(ShutdownRequest::default()).await.unwrap();
    drop(client);
    let (_, _, _folder) = ended(controller).await;
    assert!(!socket.exists());
}

#[tokio::test]
async fn a_socket_whose_path_is_too_long_lies_elsewhere_and_is_found() {
    let controller = start(new_fleet(&"long".repeat(20)), "127.0.0.1:0", None).await;
    let paths = Paths::new(&controller.home, &controller.fleet);
    assert_ne!(controller.ready.socket, paths.socket());
    assert_eq!(paths.socket_to_dial(), controller.ready.socket);
    dial(&paths.socket_to_dial())
        .await
        .get_info(GetInfoRequest {})
        .await
        .unwrap();
    let socket = controller.ready.socket.clone();
    controller.stop.cancel();
    let (_, _, _folder) = ended(controller).await;
    assert!(!socket.parent().unwrap().exists());
}

#[tokio::test]
async fn a_stale_socket_is_replaced() {
    let (folder, home, fleet) = new_fleet("home");
    let stale = Paths::new(&home, &fleet).socket();
    drop(std::os::unix::net::UnixListener::bind(&stale).unwrap());
    assert!(stale.exists());
    let controller = start((folder, home, fleet), "127.0.0.1:0", None).await;
    dial(&stale)
        .await
        .get_info(GetInfoRequest {})
        .await
        .unwrap();
    controller.stop.cancel();
    ended(controller).await;
}

#[tokio::test]
async fn nobody_needs_it_so_it_ends() {
    let idle = Some(Duration::from_millis(300));
    let controller = start(new_fleet("home"), "127.0.0.1:0", idle).await;
    let client = dial(&controller.ready.socket).await;
    assert!(!controller.stop.is_cancelled());
    drop(client);
    ended(controller).await;
}

#[tokio::test]
async fn a_taken_port_is_named_and_only_changes_fail() {
    let taken = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let listen = taken.local_addr().unwrap().to_string();
    let controller = start(new_fleet("home"), &listen, None).await;
    assert!(controller.ready.listen.is_empty());
    assert!(
        controller.ready.listen_error.contains("is taken by"),
        "{:?}",
        controller.ready
    );
    let mut client = dial(&controller.ready.socket).await;
    let info = client
        .get_info(GetInfoRequest {})
        .await
        .unwrap()
        .into_inner();
    assert_eq!(info.listen_error, controller.ready.listen_error);
    let request = EnrolRequest {
        hostname: "node1".to_owned(),
        ..Default::default()
    };
    let refused = ApiError::from_status(&client.enrol(request.clone()).await.unwrap_err());
    assert_eq!(refused.kind, ErrorKind::Unavailable);
    assert!(refused.causes[0].contains("is taken by"), "{refused:?}");
    // Once it is free, the same command goes further.
    drop(taken);
    let refused = ApiError::from_status(&client.enrol(request).await.unwrap_err());
    assert!(
        refused.message.contains("request for a certificate"),
        "{refused:?}"
    );
    controller.stop.cancel();
    drop(client);
    ended(controller).await;
}

#[tokio::test]
async fn files_go_in_once_and_errors_come_out_whole() {
    let controller = start(new_fleet("home"), "127.0.0.1:0", None).await;
    let mut client = dial(&controller.ready.socket).await;
    let digest = foundry_proto::Digest::of(b"content").to_bytes();
    let request = HasArtifactsRequest {
        digests: vec![digest.clone()],
    };
    let missing = client
        .has_artifacts(request.clone())
        .await
        .unwrap()
        .into_inner()
        .missing;
    assert_eq!(missing, std::slice::from_ref(&digest));
    let chunk = |digest: &bytes::Bytes, size, data: &'static [u8]| PutArtifactChunk {
        digest: digest.clone(),
        size,
        data: data.into(),
    };
    let chunks = [
        chunk(&digest, 7, b"con"),
        chunk(&bytes::Bytes::new(), 0, b"tent"),
    ];
    client
        .put_artifact(tokio_stream::iter(chunks))
        .await
        .unwrap();
    assert!(
        client
            .has_artifacts(request)
            .await
            .unwrap()
            .into_inner()
            .missing
            .is_empty()
    );

    let wrong = [chunk(
        &foundry_proto::Digest::of(b"other").to_bytes(),
        7,
        b"content",
    )];
    let refused = client
        .put_artifact(tokio_stream::iter(wrong))
        .await
        .unwrap_err();
    assert_eq!(ApiError::from_status(&refused).kind, ErrorKind::Invalid);
    let gone = StartRunRequest {
        plan_id: "gone".to_owned(),
        ..Default::default()
    };
    let refused = ApiError::from_status(&client.start_run(gone).await.unwrap_err());
    assert_eq!(refused.hints, ["make the plan anew"]);
    controller.stop.cancel();
    drop(client);
    ended(controller).await;
}
