//! Plans and runs.

use std::time::Duration;

use foundry_proto::agent::v1::Action;
use foundry_proto::operator::v1::{
    EnrolmentReport, Goal, OnFailure, PlanRequest, RunOutcome, Selection, StartRunRequest,
    StepOutcome, run_event::Body,
};
use tokio_util::sync::CancellationToken;

use super::fleet::{Fleet, outcomes, step};
use super::host::Mood;
use crate::api::error::{ApiError, ErrorKind};
use crate::engine::EngineError;

#[tokio::test]
async fn what_is_planned_is_done_and_the_second_time_there_is_nothing_to_do() {
    let fleet = Fleet::start().await;
    let hosts = [fleet.enrol("node1").await, fleet.enrol("node2").await];
    let _online = (hosts[0].online().await, hosts[1].online().await);
    let spec = fleet.spec(&["node1", "node2"], "1");

    let plan = fleet.plan(&spec).await;
    assert_eq!((plan.steps.len(), plan.problems.len()), (2, 0), "{plan:?}");
    let run = fleet.run(&plan).await;
    assert_eq!(run.outcome(), RunOutcome::Ok, "{run:?}");
    assert!(run.steps.iter().all(|step| step.changed), "{run:?}");
    assert_eq!(hosts[0].assigned(), [("service/web".to_owned(), 1)]);

    let again = fleet.plan(&spec).await;
    assert!(
        again.steps.is_empty() && again.changes.is_empty(),
        "{again:?}"
    );
    let run = fleet.run(&again).await;
    assert_eq!((run.outcome(), run.steps.len()), (RunOutcome::Ok, 0));

    let changed = fleet.plan(&fleet.spec(&["node1", "node2"], "2")).await;
    fleet.run(&changed).await;
    assert_eq!(
        hosts[1].assigned().last(),
        Some(&("service/web".to_owned(), 2))
    );
}

#[tokio::test]
async fn a_selector_that_names_nothing_is_refused_before_there_is_a_plan() {
    let fleet = Fleet::start().await;
    let request = PlanRequest {
        spec: fleet.spec(&["node1"], "1").into(),
        selection: Some(Selection {
            services: vec!["nosuch".to_owned()],
            ..Selection::default()
        }),
        ..PlanRequest::default()
    };
    let refused = fleet.engine.plan(request).await.unwrap_err();
    assert!(matches!(refused, EngineError::Unmatched(_)), "{refused}");
    assert_eq!(ApiError::from(refused).kind, ErrorKind::Invalid);
}

#[tokio::test]
async fn a_dead_host_leaves_the_run_partial_and_gets_its_share_when_it_returns() {
    let fleet = Fleet::start().await;
    let (living, dead) = (fleet.enrol("node1").await, fleet.enrol("node2").await);
    let _online = living.online().await;
    let plan = fleet.plan(&fleet.spec(&["node1", "node2"], "1")).await;
    assert_eq!(plan.unreachable.len(), 1, "{plan:?}");
    let run = fleet.run(&plan).await;
    assert_eq!(run.outcome(), RunOutcome::Partial, "{run:?}");
    assert_eq!(step(&run, "node1/service/web").outcome(), StepOutcome::Ok);
    let pending = step(&run, "node2/service/web");
    assert_eq!(pending.outcome(), StepOutcome::Pending, "{pending:?}");
    assert!(
        run.cause.contains("delivered when it returns"),
        "{}",
        run.cause
    );

    let fleet = fleet.restart().await;
    let _back = dead.online().await;
    let spec = fleet.spec(&["node1", "node2"], "1");
    let mut news = fleet.engine.inner.core.view.watch_all();
    loop {
        let achieved = |host: &crate::engine::view::HostView| {
            host.holdings.values().any(|holding| holding.achieved == 1)
        };
        if fleet.engine.inner.core.view.read(dead.id, achieved) == Some(true) {
            break;
        }
        news.changed().await.unwrap();
    }
    assert_eq!(dead.assigned(), [("service/web".to_owned(), 1)]);
    let _online = living.online().await;
    assert!(fleet.plan(&spec).await.steps.is_empty());
}

#[tokio::test]
async fn a_failure_names_its_cause_and_stops_only_its_own_host() {
    let fleet = Fleet::start().await;
    let (good, bad) = (fleet.enrol("node1").await, fleet.enrol("node2").await);
    bad.mood(Mood::Failing);
    let _online = (good.online().await, bad.online().await);
    let plan = fleet.plan(&fleet.spec(&["node1", "node2"], "1")).await;
    let run = fleet.run(&plan).await;
    assert_eq!(run.outcome(), RunOutcome::Partial);
    assert_eq!(run.cause, "node2/service/web: port 8080 is taken by nginx");
    assert_eq!(step(&run, "node1/service/web").outcome(), StepOutcome::Ok);

    // A failed revision is over: running again makes another.
    bad.mood(Mood::Willing);
    let run = fleet
        .run(&fleet.plan(&fleet.spec(&["node1", "node2"], "1")).await)
        .await;
    assert_eq!(outcomes(&run), [("node2/service/web", StepOutcome::Ok)]);
    assert_eq!(bad.assigned().last().unwrap().1, 2);
}

#[tokio::test]
async fn what_was_not_accepted_is_not_sent_again_under_its_number() {
    let fleet = Fleet::start().await;
    let host = fleet.enrol("node1").await;
    host.mood(Mood::Rejecting);
    let _online = host.online().await;
    let spec = fleet.spec(&["node1"], "1");
    let run = fleet.run(&fleet.plan(&spec).await).await;
    let cause = "node1/service/web: the agent did not accept it: the disk is full";
    assert_eq!(run.cause, cause);
    host.mood(Mood::Willing);
    fleet.install(&spec).await;
    assert_eq!(host.assigned().last(), Some(&("service/web".to_owned(), 2)));
}

#[tokio::test]
async fn achieved_but_ill_is_a_failure() {
    let fleet = Fleet::start().await;
    let host = fleet.enrol("node1").await;
    host.mood(Mood::Ill);
    let _online = host.online().await;
    let spec = fleet.spec(&["node1"], "1")
        + "    health: { tcp: \"127.0.0.1:80\", interval: 1s, timeout: 1s }\n";
    let plan = fleet.plan(&spec).await;
    assert!(plan.problems.is_empty(), "{plan:?}");
    let id = fleet.start_run(&plan).await.unwrap();
    // Its probes may take a while to be well; this host gets well in the middle of it.
    let mut news = fleet.engine.inner.core.view.watch_all();
    loop {
        let ill = |host: &crate::engine::view::HostView| {
            host.holdings
                .values()
                .any(|holding| holding.healthy == Some(false))
        };
        if fleet.engine.inner.core.view.read(host.id, ill) == Some(true) {
            break;
        }
        news.changed().await.unwrap();
    }
    let run = fleet.engine.get_run(&id).await.unwrap();
    assert_eq!(run.outcome(), RunOutcome::Running);
    fleet.engine.cancel_run(&id).await.unwrap();
    fleet.engine.cancel_run(&id).await.unwrap();
    let run = fleet.ended(&id).await;
    assert_eq!(run.outcome(), RunOutcome::Cancelled);
}

#[tokio::test]
async fn a_host_that_goes_away_in_the_middle_leaves_its_step_pending() {
    let fleet = Fleet::start().await;
    let host = fleet.enrol("node1").await;
    host.mood(Mood::Hanging);
    let online = host.online().await;
    let plan = fleet.plan(&fleet.spec(&["node1"], "1")).await;
    let id = fleet.start_run(&plan).await.unwrap();
    let mut news = fleet.engine.inner.core.view.watch(host.id).unwrap();
    while host.assigned().is_empty() {
        news.changed().await.unwrap();
    }
    drop(online);
    let run = fleet.ended(&id).await;
    assert_eq!(
        outcomes(&run),
        [("node1/service/web", StepOutcome::Pending)],
        "{run:?}"
    );
}

#[tokio::test]
async fn one_run_at_a_time_and_the_other_is_told_who() {
    let fleet = Fleet::start().await;
    let host = fleet.enrol("node1").await;
    host.mood(Mood::Hanging);
    let _online = host.online().await;
    let plan = fleet.plan(&fleet.spec(&["node1"], "1")).await;
    let first = fleet.start_run(&plan).await.unwrap();
    let refused = fleet.start_run(&plan).await.unwrap_err();
    assert!(matches!(&refused, EngineError::Leased { holder, .. } if holder == "anna@desk"));
    assert_eq!(ApiError::from(refused).kind, ErrorKind::Busy);
    assert_eq!(fleet.engine.lease().await.unwrap().run, first);

    // Whoever waits gets it as soon as it is free.
    let engine = fleet.engine.clone();
    let waiting = StartRunRequest {
        plan_id: plan.id.clone(),
        who: "bert@lap".to_owned(),
        lock_wait_ms: 20_000,
        ..StartRunRequest::default()
    };
    let waiting = tokio::spawn(async move { engine.start_run(waiting).await });
    fleet.engine.cancel_run(&first).await.unwrap();
    fleet.engine.cancel_run(&first).await.unwrap();
    assert_eq!(fleet.ended(&first).await.outcome(), RunOutcome::Cancelled);
    let second = waiting.await.unwrap().unwrap();
    assert_ne!(first, second);
    assert_eq!(fleet.engine.lease().await.unwrap().holder, "bert@lap");
    assert_eq!(
        fleet.engine.steal_lease("carl@top").await.unwrap().holder,
        "bert@lap"
    );
    assert_eq!(fleet.engine.lease().await.unwrap().holder, "");
    fleet.engine.cancel_run(&second).await.unwrap();
    fleet.ended(&second).await;
}

#[tokio::test]
async fn a_run_that_lost_its_controller_is_interrupted_and_says_where() {
    let fleet = Fleet::start().await;
    let (done, hangs) = (fleet.enrol("node1").await, fleet.enrol("node2").await);
    hangs.mood(Mood::Hanging);
    let _online = (done.online().await, hangs.online().await);
    let plan = fleet.plan(&fleet.spec(&["node1", "node2"], "1")).await;
    let id = fleet.start_run(&plan).await.unwrap();
    let mut events = fleet.engine.watch_run(&id, 0).await.unwrap();
    while let Some(event) = futures_util::StreamExt::next(&mut events).await {
        if matches!(event.body, Some(Body::StepEnded(_))) {
            break;
        }
    }
    drop(events);
    let fleet = fleet.restart().await;
    let run = fleet.ended(&id).await;
    assert_eq!(run.outcome(), RunOutcome::Interrupted);
    assert_eq!(step(&run, "node1/service/web").outcome(), StepOutcome::Ok);
    assert_eq!(
        step(&run, "node2/service/web").outcome(),
        StepOutcome::Interrupted
    );
    assert_eq!(fleet.engine.lease().await.unwrap().holder, "");
}

#[tokio::test]
async fn events_are_replayed_in_order_and_end_with_the_run() {
    let fleet = Fleet::start().await;
    let host = fleet.enrol("node1").await;
    let _online = host.online().await;
    let id = fleet
        .start_run(&fleet.plan(&fleet.spec(&["node1"], "1")).await)
        .await
        .unwrap();
    let live = fleet.events(&id).await;
    let replayed = fleet.events(&id).await;
    let stored: Vec<_> = live
        .iter()
        .filter(|event| event.number > 0)
        .cloned()
        .collect();
    assert_eq!(stored, replayed);
    assert!(replayed.is_sorted_by_key(|event| event.number));
    assert!(matches!(
        replayed.last().unwrap().body,
        Some(Body::RunEnded(_))
    ));
    let after = replayed[0].number;
    let rest = fleet.engine.watch_run(&id, after).await.unwrap();
    let rest: Vec<_> = futures_util::StreamExt::collect(rest).await;
    assert_eq!(rest, replayed[1..]);
}

#[tokio::test]
async fn abort_starts_nothing_after_the_first_failure() {
    let fleet = Fleet::start().await;
    let host = fleet.enrol("node1").await;
    host.mood(Mood::Failing);
    let _online = host.online().await;
    let plan = fleet.plan(&fleet.spec(&["node1"], "1")).await;
    let request = StartRunRequest {
        plan_id: plan.id.clone(),
        who: "anna@desk".to_owned(),
        on_failure: OnFailure::Ask.into(),
        ..StartRunRequest::default()
    };
    let id = fleet.engine.start_run(request).await.unwrap();
    assert_eq!(fleet.ended(&id).await.outcome(), RunOutcome::Failed);
}

#[tokio::test]
async fn a_bare_host_is_enrolled_first_and_then_given_its_share() {
    let fleet = Fleet::start().await;
    let plan = fleet.plan(&fleet.spec(&["node1"], "1")).await;
    assert_eq!(plan.enrol, ["node1"]);
    let id = fleet.start_run(&plan).await.unwrap();
    let gone = CancellationToken::new();
    let report = EnrolmentReport {
        run: id.clone(),
        hostname: "node1".to_owned(),
        progress: "connecting".to_owned(),
        ..EnrolmentReport::default()
    };
    fleet.engine.report_enrolment(report, 1, &gone).unwrap();
    let host = fleet.enrol("node1").await;
    let _online = host.online().await;
    let run = fleet.ended(&id).await;
    let both = [
        ("node1/enrol", StepOutcome::Ok),
        ("node1/service/web", StepOutcome::Ok),
    ];
    assert_eq!(outcomes(&run), both, "{run:?}");
}

#[tokio::test]
async fn what_was_not_shown_of_a_bare_host_is_not_done() {
    let fleet = Fleet::start().await;
    let plan = fleet.plan(&fleet.spec(&["node1"], "1")).await;
    let id = fleet.start_run(&plan).await.unwrap();
    let host = fleet.enrol("node1").await;
    host.has("service", Action::Update, "another port");
    let _online = host.online().await;
    let run = fleet.ended(&id).await;
    let end = step(&run, "node1/service/web");
    assert_eq!(end.outcome(), StepOutcome::Failed);
    assert!(
        end.cause.contains("the plan did not show: another port"),
        "{}",
        end.cause
    );
    assert!(host.assigned().is_empty());
}

#[tokio::test]
async fn an_enrolment_that_failed_or_lost_its_reporter_ends_with_its_cause() {
    let fleet = Fleet::start().await;
    let plan = fleet.plan(&fleet.spec(&["node1", "node2"], "1")).await;
    let id = fleet.start_run(&plan).await.unwrap();
    let report = |hostname: &str, error: &str| EnrolmentReport {
        run: id.clone(),
        hostname: hostname.to_owned(),
        error: error.to_owned(),
        ..EnrolmentReport::default()
    };
    let gone = CancellationToken::new();
    fleet
        .engine
        .report_enrolment(report("node1", "sudo needs a password"), 1, &gone)
        .unwrap();
    fleet
        .engine
        .report_enrolment(report("node2", ""), 1, &gone)
        .unwrap();
    gone.cancel();
    let run = fleet.ended(&id).await;
    assert_eq!(run.outcome(), RunOutcome::Failed);
    assert_eq!(step(&run, "node1/enrol").cause, "sudo needs a password");
    assert_eq!(
        step(&run, "node1/service/web").outcome(),
        StepOutcome::Skipped
    );
    assert!(
        step(&run, "node2/enrol").cause.contains("without a word"),
        "{run:?}"
    );
}

#[tokio::test]
async fn an_enrolment_that_nobody_carries_out_ends_too() {
    let fleet = Fleet::start().await;
    let id = fleet
        .start_run(&fleet.plan(&fleet.spec(&["node1"], "1")).await)
        .await
        .unwrap();
    let started = tokio::time::Instant::now();
    let run = fleet.ended(&id).await;
    assert_eq!(step(&run, "node1/enrol").outcome(), StepOutcome::Failed);
    assert!(started.elapsed() < Duration::from_secs(8));
}

#[tokio::test]
async fn what_is_taken_away_is_forgotten_and_its_number_is_not_used_again() {
    let fleet = Fleet::start().await;
    let host = fleet.enrol("node1").await;
    let _online = host.online().await;
    let spec = fleet.spec(&["node1"], "1");
    fleet.install(&spec).await;

    let plan = fleet.plan_for(&spec, Goal::Remove).await;
    assert_eq!(plan.summary.unwrap().remove, 1, "{plan:?}");
    let run = fleet.run(&plan).await;
    assert_eq!(run.outcome(), RunOutcome::Ok, "{run:?}");
    let wanted = fleet
        .engine
        .inner
        .core
        .store
        .assignments
        .list(host.id)
        .await
        .unwrap();
    assert!(wanted.iter().all(|wanted| wanted.forgotten), "{wanted:?}");

    fleet.install(&spec).await;
    assert_eq!(host.assigned().last(), Some(&("service/web".to_owned(), 3)));
}

#[tokio::test]
async fn files_of_another_fleet_and_plans_that_are_gone_are_refused() {
    let fleet = Fleet::start().await;
    let other = fleet
        .spec(&["node1"], "1")
        .replace(fleet.id.as_str(), "other-123456");
    let request = foundry_proto::operator::v1::PlanRequest {
        spec: other.into(),
        ..Default::default()
    };
    let refused = fleet.engine.plan(request).await.unwrap_err();
    assert!(
        matches!(refused, EngineError::OtherFleet { .. }),
        "{refused}"
    );
    let gone = foundry_proto::operator::v1::Plan {
        id: "gone".to_owned(),
        ..Default::default()
    };
    let refused = fleet.start_run(&gone).await.unwrap_err();
    assert_eq!(ApiError::from(refused).kind, ErrorKind::Outdated);
}
