//! Both machines against a network that loses connections at any point, delivers late, twice, and after a newer
//! connection stands, while agent and controller restart.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use foundry_proto::Digest;
use foundry_proto::agent::v1::agent_message::Body as Report;
use foundry_proto::agent::v1::controller_message::Body as Order;
use foundry_proto::agent::v1::{
    AgentMessage, Assign, ControllerMessage, Event, Hello, Holding, Welcome,
};
use proptest::prelude::*;

use super::agent::{Instruction, Session as AgentEnd};
use super::controller::{Contest, Delivery, Session as ControllerEnd, Start};

const LEDGER: &str = "ledger";
const TTL: Duration = Duration::from_secs(15);

/// What can happen.
#[derive(Debug, Clone)]
enum Step {
    /// The agent's ledger has another event.
    Happen,
    /// So many events at once: more than fit into the window.
    Burst(u16),
    /// The controller wants a next revision of this assignment.
    Want(u8),
    /// The agent dials, whatever stands.
    Dial,
    /// Messages travel to the controller over one of the connections, old ones included.
    ToController { connection: u8, count: u8 },
    /// One message arrives and stays in flight: it arrives again.
    Twice { connection: u8 },
    /// Messages travel to the agent over the newest connection.
    ToAgent(u8),
    /// The controller stores what it was handed.
    Store,
    /// The ledger's answer reaches the agent's end.
    Refill,
    /// The agent's end notices that its connection is gone.
    Lose,
    /// Everything volatile of the agent is gone.
    RestartAgent,
    /// Everything volatile of the controller is gone.
    RestartController,
    /// Time passes.
    Wait(u16),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        6 => Just(Step::Happen),
        1 => (200u16..600).prop_map(Step::Burst),
        2 => (0u8..3).prop_map(Step::Want),
        3 => Just(Step::Dial),
        8 => (0u8..4, 1u8..20).prop_map(|(connection, count)| Step::ToController { connection, count }),
        2 => (0u8..4).prop_map(|connection| Step::Twice { connection }),
        8 => (1u8..20).prop_map(Step::ToAgent),
        4 => Just(Step::Store),
        4 => Just(Step::Refill),
        2 => Just(Step::Lose),
        1 => Just(Step::RestartAgent),
        1 => Just(Step::RestartController),
        2 => (0u16..9000).prop_map(Step::Wait),
    ]
}

/// One connection, with what is in flight on it.
#[derive(Default)]
struct Connection {
    up: VecDeque<AgentMessage>,
    down: VecDeque<ControllerMessage>,
    /// The controller's end, once Hello arrived; `None` again when it was closed.
    session: Option<ControllerEnd>,
    start: Option<Start>,
    closed: bool,
}

/// The world: what is durable, what is volatile, what is in flight.
struct World {
    now: Duration,
    // The agent's host.
    ledger: Vec<Event>,
    forgotten: u64,
    held: BTreeMap<String, Assign>,
    agent: AgentEnd,
    /// What the ledger answered, and how much was asked for.
    answered: Option<(Vec<Event>, usize)>,
    dialled: Option<usize>,
    starts: u64,
    refused: usize,
    // The network, oldest connection first.
    connections: Vec<Connection>,
    // The controller.
    stored: Vec<u64>,
    handed: VecDeque<Event>,
    desired: BTreeMap<String, Assign>,
    living: Option<usize>,
}

impl World {
    fn new() -> Self {
        Self {
            now: Duration::ZERO,
            ledger: Vec::new(),
            forgotten: 0,
            held: BTreeMap::new(),
            agent: AgentEnd::new(),
            answered: None,
            dialled: None,
            starts: 1,
            refused: 0,
            connections: Vec::new(),
            stored: Vec::new(),
            handed: VecDeque::new(),
            desired: BTreeMap::new(),
            living: None,
        }
    }

    fn run(&mut self, step: Step) {
        match step {
            Step::Happen => self.happen(),
            Step::Burst(count) => (0..count).for_each(|_| self.happen()),
            Step::Want(which) => self.want(which),
            Step::Dial => self.dial(),
            Step::ToController { connection, count } => {
                let at = usize::from(connection);
                if let Some(index) = self.connections.len().checked_sub(1 + at) {
                    for _ in 0..count {
                        self.carry_up(index, false);
                    }
                }
            }
            Step::Twice { connection } => {
                let at = usize::from(connection);
                if let Some(index) = self.connections.len().checked_sub(1 + at) {
                    self.carry_up(index, true);
                }
            }
            Step::ToAgent(count) => (0..count).for_each(|_| self.carry_down()),
            Step::Store => self.store(),
            Step::Refill => self.refill(),
            Step::Lose => self.lose(),
            Step::RestartAgent => {
                self.lose();
                self.agent = AgentEnd::new();
                self.answered = None;
                self.starts += 1;
            }
            Step::RestartController => {
                self.handed.clear();
                self.living = None;
                self.connections
                    .iter_mut()
                    .for_each(|connection| connection.closed = true);
            }
            Step::Wait(ms) => self.now += Duration::from_millis(ms.into()),
        }
        self.pump();
    }

    fn happen(&mut self) {
        let number = self.ledger.len() as u64 + 1;
        let event = Event {
            number,
            ..Default::default()
        };
        self.ledger.push(event.clone());
        self.agent.event(self.now, event);
    }

    fn want(&mut self, which: u8) {
        let name = format!("assignment-{which}");
        let revision = self
            .desired
            .get(&name)
            .map_or(1, |assign| assign.revision + 1);
        let digest = Digest::of(format!("{name} {revision}").as_bytes()).to_bytes();
        let assign = Assign {
            name: name.clone(),
            revision,
            digest,
            ..Default::default()
        };
        self.desired.insert(name, assign.clone());
        if let Some(session) = self.living() {
            session.assign(assign);
        }
    }

    fn living(&mut self) -> Option<&mut ControllerEnd> {
        self.living
            .and_then(|index| self.connections[index].session.as_mut())
    }

    fn hello(&self) -> Hello {
        let holding = |assign: &Assign| Holding {
            assignment: assign.name.clone(),
            revision: assign.revision,
            digest: assign.digest.clone(),
            ..Default::default()
        };
        Hello {
            protocol_min: 1,
            protocol_max: 1,
            boot_id: "boot".to_owned(),
            start_id: self.starts,
            ledger_id: LEDGER.to_owned(),
            holdings: self.held.values().map(holding).collect(),
            ..Default::default()
        }
    }

    fn dial(&mut self) {
        self.agent.disconnect();
        self.connections.push(Connection::default());
        self.dialled = Some(self.connections.len() - 1);
        let hello = self.hello();
        self.agent.connect(self.now, hello);
    }

    fn lose(&mut self) {
        self.agent.disconnect();
        self.dialled = None;
    }

    fn refill(&mut self) {
        if let Some((events, asked)) = self.answered.take() {
            self.agent.refill(self.now, events, asked);
        }
    }

    /// Both ends write what they have to say; the ledger is asked where there is room.
    fn pump(&mut self) {
        if let (None, Some((after, limit))) = (&self.answered, self.agent.wants_events()) {
            let kept = self
                .ledger
                .iter()
                .filter(|event| event.number > after.max(self.forgotten));
            self.answered = Some((kept.take(limit).cloned().collect(), limit));
        }
        if self.agent.expired(self.now) {
            self.lose();
        }
        if let Some(index) = self.dialled {
            while let Some(message) = self.agent.poll(self.now) {
                self.connections[index].up.push_back(message);
            }
        }
        for connection in &mut self.connections {
            if let Some(session) = &mut connection.session {
                while let Some(message) = session.poll() {
                    connection.down.push_back(message);
                }
            }
        }
    }

    fn carry_up(&mut self, index: usize, stays: bool) {
        let connection = &mut self.connections[index];
        if connection.closed {
            return;
        }
        let Some(message) = connection.up.front().cloned() else {
            return;
        };
        let is_hello = matches!(message.body, Some(Report::Hello(_)));
        if !stays || is_hello {
            connection.up.pop_front();
        }
        match &mut connection.session {
            None => self.open(index, message),
            Some(session) => {
                if let Some(Delivery::Event(event)) =
                    session.received(self.now, message).expect("no violation")
                {
                    assert_eq!(
                        self.living,
                        Some(index),
                        "a closed session delivers nothing"
                    );
                    self.handed.push_back(event);
                }
            }
        }
        self.pump();
    }

    /// Hello arrived: as the hub does, make way, settle what came before, then open.
    fn open(&mut self, index: usize, message: AgentMessage) {
        let hello = ControllerEnd::hello(message).expect("hello comes first");
        let start = Start::of(&hello);
        if let Some(living) = self.living {
            let contest = self.connections[living]
                .start
                .as_ref()
                .map(|old| start.against(old));
            if contest == Some(Contest::Older) {
                self.connections[index].closed = true;
                return;
            }
            self.close(living);
        }
        self.store();
        let recorded = self.stored.last().copied().unwrap_or_default();
        let ttl = TTL.as_millis() as u64;
        let welcome = Welcome {
            session_ttl_ms: ttl,
            ..Default::default()
        };
        let mut session =
            ControllerEnd::open(self.now, &hello, recorded, welcome).expect("a protocol in common");
        // A connection that was overtaken can open late; its agent may have moved on to newer revisions.
        session.desired(self.desired.values().cloned().collect());
        self.connections[index].session = Some(session);
        self.connections[index].start = Some(start);
        self.living = Some(index);
    }

    fn close(&mut self, index: usize) {
        self.connections[index].closed = true;
        self.connections[index].session = None;
        if self.living == Some(index) {
            self.living = None;
        }
    }

    fn carry_down(&mut self) {
        let Some(index) = self.dialled else { return };
        let Some(message) = self.connections[index].down.pop_front() else {
            if self.connections[index].closed {
                self.lose();
            }
            return;
        };
        match self
            .agent
            .received(self.now, message)
            .expect("no violation")
        {
            Some(Instruction::Assign(assign)) => {
                let held = self.held.get(&assign.name).map_or(0, |held| held.revision);
                assert!(assign.revision > held, "an assignment that is not newer");
                self.held.insert(assign.name.clone(), assign);
            }
            Some(Instruction::Refuse(..)) => self.refused += 1,
            Some(Instruction::Acknowledged(through)) => {
                let stored = self.stored.last().copied().unwrap_or_default();
                assert!(through <= stored, "acknowledged before it was stored");
                self.forgotten = through;
            }
            _ => {}
        }
        self.pump();
    }

    fn store(&mut self) {
        self.stored
            .extend(self.handed.drain(..).map(|event| event.number));
        let through = self.stored.last().copied().unwrap_or_default();
        if let Some(session) = self.living() {
            session.recorded(through);
        }
    }

    /// The network heals and everybody keeps talking.
    fn settle(&mut self) {
        self.dial();
        self.pump();
        for _ in 0..200_000 {
            let index = self.connections.len() - 1;
            let connection = &self.connections[index];
            let still = connection.up.is_empty() && connection.down.is_empty();
            if still && self.handed.is_empty() && self.answered.is_none() {
                break;
            }
            self.refill();
            self.carry_up(index, false);
            self.carry_down();
            self.store();
            self.pump();
        }
    }

    fn check(&self) {
        let all: Vec<u64> = (1..=self.ledger.len() as u64).collect();
        assert_eq!(self.stored, all, "each event once and in order");
        assert_eq!(self.held, self.desired, "the host has what it should");
        assert_eq!(self.refused, 0, "nothing older was sent");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, ..ProptestConfig::default() })]

    #[test]
    fn nothing_is_lost_and_nothing_comes_twice(steps in proptest::collection::vec(step(), 0..120)) {
        let mut world = World::new();
        for step in steps {
            world.run(step);
            let ascending = world.stored.windows(2).all(|pair| pair[1] == pair[0] + 1);
            prop_assert!(ascending && world.stored.first().is_none_or(|first| *first == 1));
        }
        world.settle();
        world.check();
        // And with nothing changed, coming back is one exchange.
        world.dial();
        world.pump();
        let index = world.connections.len() - 1;
        prop_assert_eq!(world.connections[index].up.len(), 1);
        world.carry_up(index, false);
        prop_assert_eq!(world.connections[index].down.len(), 1);
        world.carry_down();
        prop_assert!(world.connections[index].up.is_empty());
        prop_assert!(world.connections[index].down.is_empty());
    }
}

/// An open session of each end, and what is held on the host.
fn opened(held: &[(&str, u64)]) -> (AgentEnd, ControllerEnd) {
    let mut world = World::new();
    for (name, revision) in held {
        let digest = Digest::of(name.as_bytes()).to_bytes();
        let assign = Assign {
            name: (*name).to_owned(),
            revision: *revision,
            digest,
            ..Default::default()
        };
        world.held.insert((*name).to_owned(), assign);
    }
    let mut agent = AgentEnd::new();
    agent.refill(Duration::ZERO, Vec::new(), 1);
    agent.connect(Duration::ZERO, world.hello());
    let hello = ControllerEnd::hello(agent.poll(Duration::ZERO).unwrap()).unwrap();
    let welcome = Welcome {
        session_ttl_ms: 15_000,
        ..Default::default()
    };
    let mut controller = ControllerEnd::open(Duration::ZERO, &hello, 0, welcome).unwrap();
    agent
        .received(Duration::ZERO, controller.poll().unwrap())
        .unwrap();
    (agent, controller)
}

fn order(order: Order) -> ControllerMessage {
    ControllerMessage { body: Some(order) }
}

#[test]
fn a_lower_revision_or_other_content_is_refused_at_both_ends() {
    let (mut agent, mut controller) = opened(&[("a", 5)]);
    let other = Digest::of(b"other").to_bytes();
    let lower = Assign {
        name: "a".to_owned(),
        revision: 4,
        ..Default::default()
    };
    let conflict = Assign {
        name: "a".to_owned(),
        revision: 5,
        digest: other,
        ..Default::default()
    };
    for wrong in [lower, conflict] {
        assert!(controller.assign(wrong.clone()).refusal().is_some());
        assert_eq!(controller.poll(), None);
        let got = agent
            .received(Duration::ZERO, order(Order::Assign(wrong)))
            .unwrap();
        assert!(matches!(got, Some(Instruction::Refuse(..))), "{got:?}");
    }
    let same = Assign {
        name: "a".to_owned(),
        revision: 5,
        digest: Digest::of(b"a").to_bytes(),
        ..Default::default()
    };
    assert_eq!(controller.assign(same.clone()), super::Verdict::Held);
    assert_eq!(
        agent.received(Duration::ZERO, order(Order::Assign(same))),
        Ok(None)
    );
}

#[test]
fn what_was_rejected_is_sent_again() {
    use foundry_proto::agent::v1::{Rejected, event};
    let (_, mut controller) = opened(&[]);
    let assign = Assign {
        name: "a".to_owned(),
        revision: 1,
        ..Default::default()
    };
    controller.assign(assign.clone());
    let body = Some(event::Body::Rejected(Rejected::default()));
    let rejected = Event {
        number: 1,
        assignment: "a".to_owned(),
        revision: 1,
        body,
        ..Default::default()
    };
    let message = AgentMessage {
        body: Some(Report::Event(rejected)),
    };
    controller.received(Duration::ZERO, message).unwrap();
    assert_eq!(controller.assign(assign), super::Verdict::Newer);
}

#[test]
fn silence_ends_the_session_for_either_end_and_heartbeats_keep_it() {
    let (mut agent, mut controller) = opened(&[]);
    let mut now = Duration::ZERO;
    for _ in 0..20 {
        now = agent.heartbeat_at().unwrap();
        assert!(!agent.expired(now) && !controller.expired(now));
        let heartbeat = agent.poll(now).expect("a heartbeat is due");
        controller.received(now, heartbeat).unwrap();
        agent
            .received(now, controller.poll().expect("each is answered"))
            .unwrap();
    }
    assert!(agent.expired(now + TTL) && controller.expired(now + TTL));
    assert!(!agent.expired(now + TTL - Duration::from_millis(1)));
}

#[test]
fn orders_before_welcome_and_a_second_welcome_are_violations() {
    let (mut agent, _) = opened(&[]);
    let welcome = Welcome {
        protocol: 1,
        ..Default::default()
    };
    assert!(
        agent
            .received(Duration::ZERO, order(Order::Welcome(welcome.clone())))
            .is_err()
    );
    agent.connect(Duration::ZERO, Hello::default());
    assert!(
        agent
            .received(Duration::ZERO, order(Order::Assign(Assign::default())))
            .is_err()
    );
    let other = Welcome {
        protocol: 99,
        ..welcome
    };
    assert!(
        agent
            .received(Duration::ZERO, order(Order::Welcome(other)))
            .is_err()
    );
}

#[test]
fn a_message_of_the_future_is_passed_over() {
    let (mut agent, mut controller) = opened(&[]);
    assert_eq!(
        agent.received(Duration::ZERO, ControllerMessage { body: None }),
        Ok(None)
    );
    assert_eq!(
        controller.received(Duration::ZERO, AgentMessage { body: None }),
        Ok(None)
    );
}
