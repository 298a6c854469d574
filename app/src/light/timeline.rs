//! Every command with its steps, newest first: queued, delivered, and how it ended, each with its time.
use ccms_core::command::CommandState;
use ccms_core::view::{CommandView, LightDetail};
use leptos::prelude::*;

use super::{seen, words};
use crate::bound::flag;
use crate::clock::CityClock;

#[component]
pub fn Timeline(detail: RwSignal<LightDetail>) -> impl IntoView {
    let clock = expect_context::<CityClock>();
    let entry = move |command: CommandView| {
        let state = command.state;
        let steps = steps(&command)
            .into_iter()
            .map(|step| {
                let time = step.at.map(|at| clock.hour_minute_second(at));
                view! {
                    <li data-done=step.at.map(|_| "") data-bad=step.bad.then_some("")>
                        <span>{step.word}</span>
                        <time>{time}</time>
                    </li>
                }
            })
            .collect_view();
        view! {
            <li class="command" data-state=state.as_str() data-live=state.is_live().then_some("")>
                <p class="command-line">
                    <strong>{words::kind(&command.kind)}</strong>
                    <span class="command-state" data-testid="command-state">{words::state(state)}</span>
                </p>
                <ol class="steps" aria-label="Steps">{steps}</ol>
                <p class="quiet command-by">{command.requested_by}</p>
                {command.detail.filter(|_| tells(state)).map(|text| view! { <p class="command-detail">{text}</p> })}
            </li>
        }
    };
    let commands = move || seen(detail, |d| d.commands.clone());
    view! {
        <section class="block">
            <h3>"Commands"</h3>
            <ol class="timeline" aria-live="polite" aria-relevant="text additions" data-testid="timeline">
                {move || commands().into_iter().map(entry).collect_view()}
            </ol>
            <p class="quiet" hidden=flag(move || !commands().is_empty())>"Nobody has commanded this light yet. It follows its schedule."</p>
        </section>
    }
}

/// Whether what the device said of the result is worth reading: not when all went well.
const fn tells(state: CommandState) -> bool {
    matches!(state, CommandState::Failed | CommandState::Rejected | CommandState::Unverified)
}

struct Step {
    word: &'static str,
    at: Option<ccms_core::time::UtcMillis>,
    bad: bool,
}

/// The steps a command has taken and, while it lives, those it has yet to take.
fn steps(command: &CommandView) -> Vec<Step> {
    let step = |word, at| Step { word, at, bad: false };
    let mut steps = vec![step("Queued", Some(command.requested_at))];
    let delivered = step("Delivered", command.delivered_at);
    match command.state {
        CommandState::Queued | CommandState::Delivered => steps.extend([delivered, step("Executed", None)]),
        CommandState::Unverified => steps.extend([delivered, step("Unverified", command.unverified_at)]),
        // An acknowledgement can overtake the record of the delivery; it implies it.
        CommandState::Executed => {
            steps.push(step("Delivered", command.delivered_at.or(command.finished_at)));
            steps.push(step("Executed", command.finished_at));
        }
        CommandState::Failed
        | CommandState::Rejected
        | CommandState::Expired
        | CommandState::Superseded
        | CommandState::Cancelled => {
            steps.extend(command.delivered_at.map(|at| step("Delivered", Some(at))));
            let bad = matches!(command.state, CommandState::Failed | CommandState::Rejected | CommandState::Expired);
            steps.push(Step { word: words::state(command.state), at: command.finished_at, bad });
        }
    }
    steps
}
