//! What a plan says about hosts in every state that there is.

mod fleet;

use fleet::*;
use foundry_plan::{
    Goal, HostView, Inputs, Known, Phase, Place, Plan, Selection, Summary, View, plan, removal,
};
use foundry_proto::agent::v1::Action::{
    Blocked, Create, Remove, Unchanged, Unspecified, Unsupported, Update,
};
use proptest::prelude::*;

#[test]
fn nothing_to_do_is_an_empty_plan() {
    let a = want("node1", "a", 1);
    let view = observed(
        "node1",
        vec![known(&a, 3, Phase::Achieved)],
        vec![all(&a, Unchanged)],
    );
    let plan = plan(&inputs(vec![view], vec![a]));
    assert_eq!(
        plan,
        Plan {
            summary: Summary {
                unchanged: 2,
                ..Summary::default()
            },
            ..plan.clone()
        }
    );
    assert!(plan.is_empty() && plan.changes.is_empty() && plan.problems.is_empty());
}

/// Every standing of one assignment against every kind of observation.
#[test]
fn one_assignment() {
    let a = want("node1", "a", 1);
    let other = want("node1", "a", 2);
    let gone = removal(host("node1"), service("a"), false);
    let at = |phase| Some(known(&a, 4, phase));
    let failed = Some(Known {
        message: "no such image".to_owned(),
        ..known(&a, 4, Phase::Failed)
    });
    let created = ["+node1/service/a image: ", "+node1/service/a service: "];
    let whole = |text: &'static str| vec![text];
    let none: Vec<&str> = Vec::new();
    let cases: Vec<(&str, Option<Known>, _, Vec<&str>, &str)> = vec![
        (
            "new",
            None,
            Create,
            created.to_vec(),
            "node1/service/a>0 @0",
        ),
        (
            "a lost ledger",
            None,
            Unchanged,
            whole("~node1/service/a : is in place already; the agent takes charge of it"),
            "node1/service/a>0 @0",
        ),
        (
            "removed before",
            Some(known(&gone, 4, Phase::Removed)),
            Create,
            created.to_vec(),
            "node1/service/a>4 @0",
        ),
        (
            "being removed",
            Some(known(&gone, 4, Phase::Removing)),
            Create,
            created.to_vec(),
            "node1/service/a>4 @0",
        ),
        (
            "another content",
            Some(known(&other, 4, Phase::Achieved)),
            Update,
            vec!["~node1/service/a image: ", "~node1/service/a service: "],
            "node1/service/a>4 @0",
        ),
        (
            "another content that looks the same",
            Some(known(&other, 4, Phase::Achieved)),
            Unchanged,
            whole("~node1/service/a : its settings change"),
            "node1/service/a>4 @0",
        ),
        ("reached", at(Phase::Achieved), Unchanged, none.clone(), ""),
        (
            "changed by hand",
            at(Phase::Achieved),
            Remove,
            vec!["-node1/service/a image: !", "-node1/service/a service: !"],
            "node1/service/a>4 @0",
        ),
        (
            "accepted, and it looks reached",
            at(Phase::Accepted),
            Unchanged,
            whole("~node1/service/a : revision 4 is being applied"),
            "node1/service/a=4 @0",
        ),
        (
            "under way",
            at(Phase::Applying),
            Create,
            created.to_vec(),
            "node1/service/a=4 @0",
        ),
        (
            "failed",
            failed.clone(),
            Unchanged,
            whole("~node1/service/a : revision 4 was not reached: no such image"),
            "node1/service/a>4 @0",
        ),
        (
            "failed, and it shows",
            failed,
            Create,
            created.to_vec(),
            "node1/service/a>4 @0",
        ),
        (
            "interrupted",
            at(Phase::Unknown),
            Unchanged,
            whole("~node1/service/a : revision 4 was not reached"),
            "node1/service/a>4 @0",
        ),
        (
            "cancelled",
            at(Phase::Cancelled),
            Create,
            created.to_vec(),
            "node1/service/a>4 @0",
        ),
        (
            "superseded",
            at(Phase::Superseded),
            Create,
            created.to_vec(),
            "node1/service/a>4 @0",
        ),
    ];
    for (case, known, action, expected, step) in cases {
        let view = observed("node1", known.into_iter().collect(), vec![all(&a, action)]);
        let plan = plan(&inputs(vec![view], vec![a.clone()]));
        assert_eq!(changes(&plan), expected, "{case}");
        assert_eq!(steps(&plan).join("; "), step, "{case}");
        assert!(plan.problems.is_empty(), "{case}");
    }
}

#[test]
fn the_summary_counts_tasks() {
    let a = want("node1", "a", 1);
    let mut seen = all(&a, Unchanged);
    seen.tasks = vec![
        diff("image", Unchanged, ""),
        diff("service", Update, "port 80 → 81"),
        diff("dir", Create, ""),
    ];
    let view = observed("node1", vec![known(&a, 1, Phase::Achieved)], vec![seen]);
    let plan = plan(&inputs(vec![view], vec![a]));
    let expected = Summary {
        create: 1,
        update: 1,
        unchanged: 1,
        ..Summary::default()
    };
    assert_eq!(plan.summary, expected);
    assert_eq!(changes(&plan)[0], "~node1/service/a service: port 80 → 81!");
}

#[test]
fn a_bare_host_is_enrolled_first() {
    let desired = vec![want("node1", "a", 1), want("node1", "b", 1)];
    let plan = plan(&inputs(vec![bare("node1"), bare("node2")], desired));
    assert_eq!(plan.enrol, [host("node1"), host("node2")]);
    assert_eq!(
        steps(&plan),
        [
            "node1/enrol @0",
            "node2/enrol @0",
            "node1/service/a>0 @1 after node1/enrol",
            "node1/service/b>0 @1 after node1/enrol",
        ]
    );
    assert_eq!(
        changes(&plan)[0],
        "+node1/service/a image:  [known after node1/enrol]"
    );
    assert_eq!(plan.summary.create, 4);
}

#[test]
fn a_selection_enrols_no_more_than_it_needs() {
    let mut inputs = inputs(
        vec![bare("node1"), bare("node2")],
        vec![want("node1", "a", 1), want("node2", "b", 1)],
    );
    inputs.selection.services.insert("b".to_owned());
    assert_eq!(plan(&inputs).enrol, [host("node2")]);
    inputs.selection = Selection::default();
    inputs.selection.hosts.insert("node1".to_owned());
    assert_eq!(steps(&plan(&inputs)).len(), 2);
    assert_eq!(plan(&inputs).enrol, [host("node1")]);
}

#[test]
fn selectors_that_match_nothing_are_problems() {
    let a = want("node1", "a", 1);
    let mut inputs = inputs(vec![bare("node1"), bare("node2")], vec![a]);
    let problem = |inputs: &Inputs| {
        let plan = plan(inputs);
        assert_eq!(plan.problems.len(), 1, "{:?}", plan.problems);
        (
            plan.problems[0].message.clone(),
            plan.problems[0].hint.clone(),
        )
    };
    inputs.selection.hosts.insert("node3".to_owned());
    let (message, hint) = problem(&inputs);
    assert_eq!(message, "--host node3 matches nothing");
    assert_eq!(hint, "hosts: node1, node2");
    inputs.selection = Selection::default();
    inputs.selection.services.insert("x".to_owned());
    assert_eq!(problem(&inputs).0, "--service x matches nothing");
    inputs.selection = Selection::default();
    inputs.selection.components.insert("zot".to_owned());
    let (message, hint) = problem(&inputs);
    assert_eq!(
        (message.as_str(), hint.as_str()),
        ("--component zot matches nothing", "there is no component")
    );
    inputs.selection = Selection::default();
    inputs.selection.services.insert("a".to_owned());
    inputs.selection.hosts.insert("node2".to_owned());
    assert_eq!(
        problem(&inputs).0,
        "what is selected runs on none of the selected hosts"
    );
}

#[test]
fn obstacles_are_problems_and_name_their_owner() {
    let a = want("node1", "a", 1);
    let mut seen = all(&a, Create);
    seen.tasks = vec![
        diff("image", Unsupported, "level 7"),
        diff("service", Blocked, "port 80 is taken by container web"),
        diff("other", Unspecified, ""),
    ];
    let plan = plan(&inputs(
        vec![observed("node1", vec![], vec![seen])],
        vec![a],
    ));
    let messages: Vec<&str> = plan.problems.iter().map(|p| p.message.as_str()).collect();
    assert_eq!(
        messages,
        [
            "the agent cannot do this: level 7",
            "port 80 is taken by container web",
            "the agent cannot do this: ",
        ]
    );
    assert!(
        plan.problems
            .iter()
            .all(|p| p.host == "node1" && p.assignment == "service/a")
    );
    assert!(
        plan.problems[0]
            .hint
            .contains("foundry host bootstrap node1")
    );
}

#[test]
fn orphans_are_listed_and_removed_only_when_asked() {
    let a = want("node1", "a", 1);
    let old = want("node1", "old", 1);
    let gone = removal(host("node1"), service("gone"), false);
    let held = vec![
        known(&a, 1, Phase::Achieved),
        known(&old, 7, Phase::Achieved),
        known(&gone, 2, Phase::Removed),
    ];
    let view = observed("node1", held, vec![all(&a, Update)]);
    let mut inputs = inputs(vec![view], vec![a]);
    let listed = plan(&inputs);
    assert_eq!(listed.orphans.len(), 1);
    assert_eq!(listed.summary.orphaned, 1);
    assert_eq!(steps(&listed), ["node1/service/a>1 @0"]);
    inputs.prune = true;
    let pruned = plan(&inputs);
    assert_eq!(
        steps(&pruned),
        [
            "node1/service/old>7 @0",
            "node1/service/a>1 @1 after node1/service/old"
        ],
        "what is taken away frees its ports first"
    );
    assert_eq!(changes(&pruned)[2], "-node1/service/old : its data is kept");
    assert_eq!((pruned.summary.orphaned, pruned.summary.remove), (1, 1));
    inputs.selection.services.insert("a".to_owned());
    assert_eq!(
        steps(&plan(&inputs)),
        ["node1/service/a>1 @0"],
        "not selected"
    );
    inputs.selection.services = ["old".to_owned()].into();
    assert_eq!(steps(&plan(&inputs)), ["node1/service/old>7 @0"]);
}

#[test]
fn hosts_that_do_not_answer_are_planned_from_what_is_known() {
    let (same, new) = (want("node1", "same", 1), want("node1", "new", 1));
    let (changed, before) = (want("node1", "changed", 2), want("node1", "changed", 1));
    let held = vec![
        known(&same, 1, Phase::Achieved),
        known(&before, 5, Phase::Achieved),
    ];
    let plan = plan(&inputs(
        vec![unreachable("node1", held)],
        vec![same, new, changed],
    ));
    assert_eq!(
        changes(&plan),
        [
            "+node1/service/new image: planned from the last known state",
            "+node1/service/new service: planned from the last known state",
            "~node1/service/changed : its settings change (planned from the last known state)",
        ]
    );
    assert_eq!(
        steps(&plan),
        ["node1/service/new>0 @0", "node1/service/changed>5 @0"]
    );
    assert_eq!((plan.summary.unreachable, plan.summary.unchanged), (1, 2));
    assert_eq!(plan.unreachable[0].reason, "no sign of life for 14 min");
}

#[test]
fn a_host_that_could_not_observe_does_not_stop_the_others() {
    let (a, b) = (want("node1", "a", 1), want("node2", "a", 1));
    let mut seen = all(&a, Create);
    seen.error = "the runtime does not answer".to_owned();
    let hosts = vec![
        observed("node1", vec![], vec![seen]),
        observed("node2", vec![], vec![all(&b, Create)]),
    ];
    let plan = plan(&inputs(hosts, vec![a, b]));
    assert_eq!(
        plan.unreachable[0].reason,
        "service/a could not be observed: the runtime does not answer"
    );
    assert_eq!(
        steps(&plan),
        ["node1/service/a>0 @0", "node2/service/a>0 @0"]
    );
    assert!(plan.problems.is_empty());
}

#[test]
fn removal_takes_what_is_selected_and_there() {
    let (a, b) = (want("node1", "a", 1), want("node1", "b", 1));
    let gone = removal(host("node1"), service("c"), false);
    let held = vec![
        known(&a, 1, Phase::Achieved),
        known(&b, 2, Phase::Failed),
        known(&gone, 3, Phase::Removed),
    ];
    let hosts = vec![observed("node1", held, vec![]), bare("node2")];
    let mut inputs = Inputs {
        goal: Goal::Remove,
        ..inputs(hosts, vec![a, want("node2", "a", 1)])
    };
    let everything = plan(&inputs);
    assert_eq!(
        steps(&everything),
        ["node1/service/a>1 @0", "node1/service/b>2 @0"]
    );
    assert_eq!(everything.summary.remove, 2);
    assert!(everything.enrol.is_empty());
    let order = everything.steps[0].order().unwrap();
    assert_eq!(
        order.digest,
        removal(host("node1"), service("a"), false).digest
    );
    inputs.selection.services.insert("b".to_owned());
    inputs.purge = true;
    let one = plan(&inputs);
    assert_eq!(changes(&one), ["-node1/service/b : with its data"]);
}

#[test]
fn what_a_host_has_not_taken_yet_is_an_orphan_and_can_be_withdrawn() {
    let esc = want("node1", "esc", 1);
    let purged = removal(host("node1"), service("esc"), true);
    let taken_back = removal(host("node1"), service("esc"), false);
    for (waiting, step) in [
        (&esc, "node1/service/esc>3 @0"),
        (&purged, "node1/service/esc>3 @0"),
        (&taken_back, "node1/service/esc=3 @0"),
    ] {
        for view in [
            unreachable("node1", vec![stored(waiting, 3)]),
            observed("node1", vec![stored(waiting, 3)], vec![]),
        ] {
            let mut inputs = inputs(vec![view], vec![]);
            let listed = plan(&inputs);
            assert_eq!(listed.summary.orphaned, 1);
            assert!(listed.steps.is_empty(), "{:?}", steps(&listed));
            inputs.prune = true;
            let pruned = plan(&inputs);
            assert_eq!(steps(&pruned), [step]);
            assert_eq!(changes(&pruned), ["-node1/service/esc : its data is kept"]);
            inputs.goal = Goal::Remove;
            assert_eq!(steps(&plan(&inputs)), [step]);
        }
    }
}

#[test]
fn what_waits_for_a_host_is_still_to_be_made_and_not_numbered_again() {
    let esc = want("node1", "esc", 1);
    let taken_back = removal(host("node1"), service("esc"), false);
    for (waiting, step) in [
        (&esc, "node1/service/esc=3 @0"),
        (&want("node1", "esc", 2), "node1/service/esc>3 @0"),
        (&taken_back, "node1/service/esc>3 @0"),
    ] {
        let view = unreachable("node1", vec![stored(waiting, 3)]);
        let plan = plan(&inputs(vec![view], vec![esc.clone()]));
        assert_eq!(steps(&plan), [step]);
        assert_eq!((plan.summary.create, plan.summary.orphaned), (2, 0));
    }
}

#[test]
fn a_removal_under_way_is_awaited_and_a_failed_one_tried_again() {
    let removal = removal(host("node1"), service("a"), false);
    for (phase, expected) in [
        (Phase::Removing, "node1/service/a=4 @0"),
        (Phase::Accepted, "node1/service/a=4 @0"),
        (Phase::Failed, "node1/service/a>4 @0"),
    ] {
        let view = observed("node1", vec![known(&removal, 4, phase)], vec![]);
        let inputs = Inputs {
            goal: Goal::Remove,
            ..inputs(vec![view], vec![])
        };
        assert_eq!(steps(&plan(&inputs)), [expected], "{phase:?}");
    }
}

#[test]
fn fix_puts_back_what_was_changed_by_hand_and_nothing_else() {
    let (hand, new) = (want("node1", "hand", 1), want("node1", "new", 1));
    let failed = want("node1", "failed", 1);
    let fine = want("node1", "fine", 1);
    let held = vec![
        known(&hand, 1, Phase::Achieved),
        known(&failed, 2, Phase::Failed),
        known(&fine, 3, Phase::Achieved),
    ];
    let seen = vec![
        all(&hand, Update),
        all(&new, Create),
        all(&failed, Create),
        all(&fine, Unchanged),
    ];
    let hosts = vec![observed("node1", held, seen), bare("node2")];
    let desired = vec![hand, new, failed, fine, want("node2", "a", 1)];
    let plan = plan(&Inputs {
        goal: Goal::Fix,
        ..inputs(hosts, desired)
    });
    assert_eq!(steps(&plan), ["node1/service/hand>1 @0"]);
    assert!(plan.changes.iter().all(|change| change.drift));
    assert!(plan.enrol.is_empty());
}

#[test]
fn what_is_asked_for_comes_first_and_a_cycle_is_named() {
    let place = |on: &str, name: &str| Place {
        host: host(on),
        assignment: service(name),
    };
    let first = want("node2", "first", 1);
    let mut second = want("node1", "second", 1);
    second.after = vec![place("node2", "first"), place("node2", "reached")];
    let hosts = || {
        let seen = |name| all(&want("node1", name, 1), Create);
        vec![
            observed("node1", vec![], vec![seen("second")]),
            observed("node2", vec![], vec![seen("first")]),
        ]
    };
    let plan_of = |first| plan(&inputs(hosts(), vec![second.clone(), first]));
    assert_eq!(
        steps(&plan_of(first.clone())),
        [
            "node2/service/first>0 @0",
            "node1/service/second>0 @1 after node2/service/first"
        ]
    );
    let mut back = first;
    back.after = vec![place("node1", "second")];
    let plan = plan_of(back);
    assert!(plan.steps.is_empty());
    assert_eq!(
        plan.problems[0].message,
        "these depend on one another: node1/service/second → node2/service/first → node1/service/second"
    );
}

#[test]
fn enrolled_hosts_that_left_the_file_are_named() {
    let mut inputs = Inputs {
        strangers: vec![host("old")],
        ..Inputs::default()
    };
    inputs.warnings.push("component zot is declared".to_owned());
    let warnings = plan(&inputs).warnings;
    assert_eq!(warnings[0], "component zot is declared");
    assert!(
        warnings[1].contains("foundry host remove old"),
        "{warnings:?}"
    );
}

// === properties ===

const PHASES: [Phase; 10] = [
    Phase::Unspecified,
    Phase::Accepted,
    Phase::Applying,
    Phase::Achieved,
    Phase::Failed,
    Phase::Superseded,
    Phase::Cancelled,
    Phase::Unknown,
    Phase::Removing,
    Phase::Removed,
];

const ACTIONS: [foundry_proto::agent::v1::Action; 4] = [Unchanged, Create, Update, Remove];

/// One service on one host: wanted in which version, held in which and how (past the phases: only stored), seen how.
type Cell = (Option<u32>, Option<(u32, usize)>, usize);

fn fleets() -> impl Strategy<Value = Inputs> {
    let cell = (
        prop::option::of(1u32..3),
        prop::option::of((0u32..3, 0usize..=PHASES.len())),
        0usize..ACTIONS.len(),
    );
    let hosts = prop::collection::vec((0u8..3, prop::collection::vec(cell, 0..4)), 0..5);
    (hosts, any::<bool>(), any::<bool>()).prop_map(|(hosts, prune, purge)| {
        let mut inputs = Inputs {
            prune,
            purge,
            ..Inputs::default()
        };
        for (number, (kind, cells)) in hosts.into_iter().enumerate() {
            let view = fleet_host(&format!("node{number}"), kind, &cells, &mut inputs.desired);
            inputs.hosts.push(view);
        }
        inputs
    })
}

fn fleet_host(
    on: &str,
    kind: u8,
    cells: &[Cell],
    desired: &mut Vec<foundry_plan::Desired>,
) -> HostView {
    let (mut held, mut seen) = (Vec::new(), Vec::new());
    for (number, (wanted, holding, action)) in cells.iter().enumerate() {
        let name = format!("s{number}");
        if let Some(version) = wanted {
            let mut want = want(on, &name, *version);
            // Each asks for the one before it, here and on the next host.
            for asked in 0..number {
                let assignment = service(&format!("s{asked}"));
                want.after.push(Place {
                    host: host(on),
                    assignment: assignment.clone(),
                });
                want.after.push(Place {
                    host: host("node0"),
                    assignment,
                });
            }
            seen.push(all(&want, ACTIONS[*action]));
            desired.push(want);
        }
        if let Some((version, phase)) = holding {
            let content = match version {
                0 => removal(host(on), service(&name), false),
                version => want(on, &name, *version),
            };
            held.push(match PHASES.get(*phase) {
                Some(phase) => known(&content, 5, *phase),
                None => stored(&content, 5),
            });
        }
    }
    match kind {
        0 => bare(on),
        1 => unreachable(on, held),
        _ => observed(on, held, seen),
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn waves_respect_edges_and_ids_are_unique(inputs in fleets()) {
        let plan = plan(&inputs);
        prop_assert!(plan.problems.is_empty(), "{:?}", plan.problems);
        for (at, step) in plan.steps.iter().enumerate() {
            prop_assert!(plan.steps[..at].iter().all(|other| other.id != step.id));
            for before in &step.after {
                let before = plan.steps.iter().find(|other| other.id == *before).unwrap();
                prop_assert!(before.wave < step.wave);
            }
        }
    }

    #[test]
    fn every_step_is_shown_and_every_change_has_a_step(inputs in fleets()) {
        let plan = plan(&inputs);
        for step in plan.steps.iter().filter(|step| step.assignment().is_some()) {
            let shown = |change: &&foundry_plan::Change| {
                change.host == step.host && Some(&change.assignment) == step.assignment()
            };
            prop_assert!(plan.changes.iter().any(|change| shown(&change)), "{}", step.id);
        }
        for change in &plan.changes {
            let id = format!("{}/{}", change.host, change.assignment);
            prop_assert!(plan.steps.iter().any(|step| step.id == id), "{id}");
        }
    }

    #[test]
    fn what_was_planned_and_done_needs_no_other_plan(inputs in fleets()) {
        let first = plan(&inputs);
        let done = after(&inputs, &first);
        let second = plan(&done);
        prop_assert!(second.steps.is_empty(), "{:?}\n{:?}", steps(&first), steps(&second));
        prop_assert!(second.changes.is_empty(), "{:?}", changes(&second));
        prop_assert_eq!(second.orphans.len(), if inputs.prune { 0 } else { first.orphans.len() });
    }

    #[test]
    fn removing_everything_leaves_nothing(inputs in fleets()) {
        let inputs = Inputs { goal: Goal::Remove, ..inputs };
        let done = after(&inputs, &plan(&inputs));
        for view in &done.hosts {
            if let View::Observed { known, .. } = &view.view {
                let gone = |held: &Known| {
                    let digest = removal(view.host.clone(), held.name.clone(), inputs.purge).digest;
                    held.phase == Phase::Removed || held.digest == digest
                };
                prop_assert!(known.iter().all(gone));
            }
        }
        prop_assert!(plan(&done).is_empty());
    }

    #[test]
    fn a_plan_depends_on_nothing_but_its_inputs(inputs in fleets()) {
        prop_assert_eq!(plan(&inputs), plan(&inputs.clone()));
    }
}
