//! For each invariant somebody who breaks it, between the devices and the server, in front of the store, or in the shell of a
//! device; and the witness names that invariant and no other. Without the saboteur the same story breaks none.
use std::collections::BTreeMap;

use ccms_core::command::CommandKind;
use ccms_core::ids::CommandId;
use ccms_core::reading::PowerState;
use ccms_core::time::UtcMillis;
use ccms_fleet::world::plan::Act;
use ccms_fleet::world::server::{Deed, Held, Holdings, Server};
use ccms_fleet::world::story::{Script, live};
use ccms_fleet::world::witness::Invariant;
use ccms_fleet::world::{Request, Response, Sabotage};
use serde_json::{Value, json};

use super::real::RealServer;
use super::{at_once, start};

/// Longer than what a story needs at its end to see that everybody is back.
const STORY_S: u64 = 4_200;
const NONE: [Invariant; 0] = [];

/// What somebody between the devices and the server does wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mistake {
    None,
    /// Says of every tenth status that it is stored, and drops it.
    SaysStored,
    /// Loses every acknowledgement in the first quarter of an hour, which is no mistake by itself.
    LosesAcks,
    /// Hands out a command once more, long after its end.
    HandsOutLate,
    /// Lets whoever knows a path in on it.
    OpensDoors,
    SwapsDayAndNight,
    /// Spoils each token that is given to a device that has one.
    SpoilsTokens,
}

struct Between {
    mistake: Mistake,
    server: RealServer,
    statuses: u64,
    kept: Option<(UtcMillis, Value)>,
    /// Whose path it is, and the token that was last used on it.
    doors: BTreeMap<String, (usize, String)>,
}

impl Between {
    fn lets_in(&mut self, request: &mut Request) {
        let path = request.path.rsplit_once('/').map_or("", |(path, _)| path).to_owned();
        let Some((_, token)) = request.headers.iter_mut().find(|(name, _)| *name == "authorization") else { return };
        match self.doors.get(&path) {
            Some((owner, good)) if *owner != request.device => token.clone_from(good),
            _ => drop(self.doors.insert(path, (request.device, token.clone()))),
        }
    }

    fn spoils(&mut self, route: &str, had_token: bool, at: UtcMillis, body: &mut Value) {
        match self.mistake {
            Mistake::HandsOutLate if route == "commands" => {
                let commands = body["commands"].as_array_mut().expect("commands");
                match &self.kept {
                    None => self.kept = commands.first().map(|command| (at, command.clone())),
                    Some((since, command)) if at.since(*since) > 1_200_000 => {
                        commands.push(command.clone());
                        self.mistake = Mistake::None;
                    }
                    Some(_) => {}
                }
            }
            Mistake::SwapsDayAndNight if route == "configure" => {
                let config = body["config"].as_object_mut().expect("a configuration");
                let (rise, set) = (config["sunrise_time"].clone(), config["sunset_time"].clone());
                config.extend([("sunrise_time".to_owned(), set), ("sunset_time".to_owned(), rise)]);
            }
            Mistake::SpoilsTokens if had_token => {
                for part in ["/device_token", "/config/device_token"] {
                    if let Some(Value::String(token)) = body.pointer_mut(part) {
                        token.push_str("spoilt");
                    }
                }
            }
            _ => {}
        }
    }
}

impl Server for Between {
    async fn answers(&mut self, mut request: Request) -> Response {
        let route = request.path.rsplit('/').next().unwrap_or_default().to_owned();
        let (at, since_start) = (request.at, request.at.since(start()));
        let had_token = request.headers.iter().any(|(name, _)| *name == "authorization");
        match self.mistake {
            Mistake::SaysStored if route == "status" => {
                self.statuses += 1;
                if self.statuses.is_multiple_of(10) {
                    let said = json!({"status": "success", "message": "", "next_update_seconds": 30,
                        "server_timestamp": at.to_string()});
                    return Response { status: 200, body: said.to_string().into_bytes() };
                }
            }
            Mistake::LosesAcks if ["command-ack", "sync"].contains(&route.as_str()) && since_start < 900_000 => {
                return Response { status: 500, body: b"{}".to_vec() };
            }
            Mistake::OpensDoors => self.lets_in(&mut request),
            _ => {}
        }
        let response = self.server.answers(request).await;
        if response.status != 200 {
            return response;
        }
        let mut body: Value = serde_json::from_slice(&response.body).expect("JSON");
        self.spoils(&route, had_token, at, &mut body);
        Response { status: 200, body: body.to_string().into_bytes() }
    }

    async fn does(&mut self, at: UtcMillis, deed: &Deed) -> Option<CommandId> {
        self.server.does(at, deed).await
    }

    async fn shows(&mut self, at: UtcMillis) -> Vec<Held> {
        self.server.shows(at).await
    }

    async fn holds(&mut self, at: UtcMillis) -> Holdings {
        self.server.holds(at).await
    }
}

/// A story in which these things happen and nothing else.
fn script(lights: usize, seconds: u64, acts: Vec<(u64, Act)>) -> Script {
    Script { seconds, only: Some(acts), ..Script::days(11, lights, 1) }
}

fn order(at_s: u64, device: usize, kind: CommandKind) -> (u64, Act) {
    (at_s, Act::Server(Deed::Order { device, kind }))
}

/// Which invariants a story broke.
fn broken(script: &Script, mistake: Mistake, edit: impl FnOnce(&mut RealServer)) -> Vec<Invariant> {
    at_once(async {
        let mut server = RealServer::opens(start()).await;
        edit(&mut server);
        let (kept, doors) = (None, BTreeMap::new());
        let ending = live(script, &mut Between { mistake, server, statuses: 0, kept, doors }).await;
        ending.breaches.iter().for_each(|breach| println!("{mistake:?} {:?}: {breach}", script.sabotage));
        let mut broken: Vec<_> = ending.breaches.iter().map(|b| b.of).collect();
        broken.dedup();
        broken
    })
}

/// With the mistake it is this invariant, and without it none.
fn is_found(script: &Script, mistake: Mistake, invariant: Invariant) {
    assert_eq!(broken(script, mistake, |_| {}), [invariant]);
    assert_eq!(broken(script, Mistake::None, |_| {}), NONE);
}

#[test]
fn i1_a_status_that_is_said_to_be_stored_and_is_not() {
    is_found(&script(2, STORY_S, vec![(3_600, Act::Look)]), Mistake::SaysStored, Invariant::I1);
}

#[test]
fn i2_a_flash_that_forgets_what_was_done() {
    // Done, not heard, and then the power fails: it is handed out again.
    let acts = vec![
        order(600, 0, CommandKind::Brightness(40)),
        order(600, 1, CommandKind::Brightness(70)),
        (640, Act::CityPowerCut { seconds: 10 }),
    ];
    let honest = script(2, STORY_S, acts);
    let forgetful = Script { sabotage: Some(Sabotage::ForgetsCommands), ..honest.clone() };
    assert_eq!(broken(&forgetful, Mistake::LosesAcks, |_| {}), [Invariant::I2]);
    assert_eq!(broken(&honest, Mistake::LosesAcks, |_| {}), NONE);
}

#[test]
fn i3_a_command_that_is_handed_out_after_its_end() {
    let acts = vec![order(600, 0, CommandKind::Power(PowerState::On))];
    is_found(&script(1, STORY_S, acts), Mistake::HandsOutLate, Invariant::I3);
}

#[test]
fn i4_doors_that_are_open_to_whoever_knows_the_address() {
    let acts = vec![(900, Act::Trespass { from: 0, to: 1 }), (1_800, Act::Look)];
    is_found(&script(2, STORY_S, acts), Mistake::OpensDoors, Invariant::I4);
}

#[test]
fn i5_a_server_that_takes_the_night_for_the_day() {
    // From half past three in the afternoon until half past seven.
    is_found(&script(1, 14_400, Vec::new()), Mistake::SwapsDayAndNight, Invariant::I5);
}

#[test]
fn i6_a_hand_over_of_credentials_that_are_no_good() {
    let acts = vec![(600, Act::CityPowerCut { seconds: 5 })];
    is_found(&script(2, STORY_S, acts), Mistake::SpoilsTokens, Invariant::I6);
}

#[test]
fn i7_an_audit_log_that_somebody_changed() {
    let acts = (1..9).map(|n| order(n * 300, 0, CommandKind::Brightness(30 + n as u8))).collect();
    let script = script(1, STORY_S, acts);
    assert_eq!(broken(&script, Mistake::None, |server| server.rewrites_audit = true), [Invariant::I7]);
    assert_eq!(broken(&script, Mistake::None, |_| {}), NONE);
}

#[test]
fn i8_a_shell_that_sends_again_at_once_and_one_that_wakes_with_all_others() {
    let acts = |seconds| vec![(600, Act::Partition { device: None, seconds })];
    let (short, long) = (script(2, STORY_S, acts(40)), script(8, STORY_S, acts(1_200)));
    for (honest, sabotage) in [(short, Sabotage::Hurries), (long, Sabotage::WakesOnTheMinute)] {
        let bad = Script { sabotage: Some(sabotage), ..honest.clone() };
        assert_eq!(broken(&bad, Mistake::None, |_| {}), [Invariant::I8], "{sabotage:?}");
        assert_eq!(broken(&honest, Mistake::None, |_| {}), NONE, "{sabotage:?}");
    }
}

/// That late or repeated data counts twice, no store of ours can be made to do: the witness sees that of a server in memory
/// (`crates/ccms-fleet/tests/story.rs`).
#[test]
fn i9_a_server_that_shows_what_was_long_ago_after_a_crash() {
    let acts = vec![(3_000, Act::Look), (3_000, Act::Server(Deed::Crash)), (3_000, Act::Look)];
    let script = script(2, STORY_S, acts);
    assert_eq!(broken(&script, Mistake::None, |server| server.forgets = true), [Invariant::I9]);
    assert_eq!(broken(&script, Mistake::None, |_| {}), NONE);
}
