//! The page of waiting controllers.
use std::time::Duration;

use ccms_core::time::UtcMillis;
use ccms_core::view::PendingDevice;
use leptos::either::Either;
use leptos::prelude::*;
use leptos::task::spawn_local;
use leptos_meta::Title;
use wasm_bindgen::JsCast;

use super::{Approve, waiting};
use crate::bound::{flag, text};
use crate::clock::CityClock;

/// Distance between two looks at who waits, while the page is seen.
const LOOK_EVERY: Duration = Duration::from_secs(15);
/// Where the focus goes when what had it is gone.
const HEADING: &str = "waiting-devices";

#[component]
pub fn DevicesPage() -> impl IntoView {
    let action = ServerAction::<Approve>::new();
    let devices = Resource::new_blocking(|| (), |()| waiting());
    let refusal = move || action.value().get().and_then(Result::err).map(|error| error.to_string());
    let let_in = move || action.value().get().is_some_and(|answer| answer.is_ok());
    view! {
        <Title text="Devices"/>
        <div class="sheet">
            <header class="sheet-head">
                <div>
                    <h1 id=HEADING tabindex="-1">"Waiting devices"</h1>
                    <p class="quiet">"Controllers that asked to be let in. Approve those you know; a controller fetches its key when it asks again."</p>
                </div>
            </header>
            <p class="alert" role="alert" hidden=flag(move || refusal().is_none())>{text(move || refusal().unwrap_or_default())}</p>
            <p class="notice" role="status" hidden=flag(move || !let_in())>
                "Approved. The controller gets its key when it asks again; it has 24 hours for that."
            </p>
            <Transition fallback=|| view! { <p class="quiet" role="status">"Asking who waits"</p> }>
                {move || Suspend::new(async move {
                    match devices.await {
                        Err(error) => Either::Left(view! { <p class="alert" role="alert">{error.to_string()}</p> }),
                        Ok(first) => Either::Right(view! { <Waiting first action/> }),
                    }
                })}
            </Transition>
        </div>
    }
}

/// Who waits now: the list is looked at again and again, and rows come and go one by one, so that nobody's focus is lost.
#[component]
fn Waiting(first: Vec<PendingDevice>, action: ServerAction<Approve>) -> impl IntoView {
    let devices = RwSignal::new(first);
    // Effects run in the browser only.
    Effect::new(move |_| keep_looking(devices));
    Effect::watch(move || action.version().get(), move |_, _, _| look(devices), false);
    let count = Memo::new(move |_| devices.with(Vec::len));
    let said = move || match count.get() {
        0 => String::new(),
        1 => "1 device is waiting".to_owned(),
        n => format!("{n} devices are waiting"),
    };
    view! {
        <p class="quiet" role="status" data-testid="waiting-count">{text(said)}</p>
        <section class="card empty" data-testid="devices-empty" hidden=flag(move || count.get() != 0)>
            <h2>"No device is waiting"</h2>
            <p>"When a new controller asks to be let in and needs a person's approval, it appears here."</p>
            <p><a class="button" href="/map">"To the map"</a></p>
        </section>
        <div class="scroll" tabindex="0" role="region" aria-label="Waiting devices" hidden=flag(move || count.get() == 0)>
            <table class="table rows waiting-table">
                <thead>
                    <tr>
                        <th scope="col">"Device"</th>
                        <th scope="col">"Name it reports"</th>
                        <th scope="col">"Why it waits"</th>
                        <th scope="col">"Position"</th>
                        <th scope="col">"First asked"</th>
                        <th scope="col">"Last asked"</th>
                        <th scope="col">"Times"</th>
                        <th scope="col"><span class="unseen">"Action"</span></th>
                    </tr>
                </thead>
                <tbody>
                    <For each=move || devices.get() key=|device| device.device_id.clone() let:device>
                        <Row device devices action/>
                    </For>
                </tbody>
            </table>
        </div>
    }
}

#[component]
fn Row(device: PendingDevice, devices: RwSignal<Vec<PendingDevice>>, action: ServerAction<Approve>) -> impl IntoView {
    let clock = expect_context::<CityClock>();
    let id = device.device_id.to_string();
    // What it says of itself may change while it waits. A row that is about to go shows what it showed.
    let now = Memo::new(move |before: Option<&PendingDevice>| {
        let found = devices.with(|all| all.iter().find(|d| d.device_id == device.device_id).cloned());
        found.or_else(|| before.cloned()).unwrap_or_else(|| device.clone())
    });
    let place = move |d: &PendingDevice| {
        d.latitude.zip(d.longitude).map_or_else(|| "–".into(), |(lat, lon)| format!("{lat:.5}, {lon:.5}"))
    };
    let why = |d: &PendingDevice| if d.registered { "Known; its claim window is closed" } else { "Not registered" };
    let moment = move |at: UtcMillis| (clock.date_time(at), clock.age(at));
    view! {
        <tr data-testid="waiting-device">
            <th scope="row" class="mono">{id.clone()}</th>
            <td class="name">{text(move || now.with(|d| d.reported_name.clone()))}</td>
            <td data-label="Why it waits">{text(move || now.with(why))}</td>
            <td data-label="Position">{text(move || now.with(place))}</td>
            <td data-label="First asked" title=text(move || moment(now.with(|d| d.first_seen)).0)>
                {text(move || moment(now.with(|d| d.first_seen)).1)}
            </td>
            <td data-label="Last asked" title=text(move || moment(now.with(|d| d.last_seen)).0)>
                {text(move || moment(now.with(|d| d.last_seen)).1)}
            </td>
            <td data-label="Times">{text(move || now.with(|d| d.attempts))}</td>
            <td class="act">
                <ActionForm action>
                    <input type="hidden" name="device" value=id.clone()/>
                    <button type="submit" class="button primary" data-testid="approve" aria-label=format!("Approve {id}")>"Approve"</button>
                </ActionForm>
            </td>
        </tr>
    }
}

/// Looks while somebody sees the page, and at once when they come back to it.
fn keep_looking(devices: RwSignal<Vec<PendingDevice>>) {
    let look_if_seen = move || {
        if !document().hidden() {
            look(devices);
        }
    };
    let ticking = set_interval_with_handle(look_if_seen, LOOK_EVERY);
    let returning = window_event_listener_untyped("visibilitychange", move |_| look_if_seen());
    on_cleanup(move || {
        returning.remove();
        if let Ok(ticking) = ticking {
            ticking.clear();
        }
    });
}

fn look(devices: RwSignal<Vec<PendingDevice>>) {
    spawn_local(async move {
        // Without an answer what is shown stays; the frame says when the line is lost.
        let Ok(now) = waiting().await else { return };
        let focus = document().active_element();
        let in_a_row = focus.is_some_and(|element| element.closest("tbody").is_ok_and(|body| body.is_some()));
        devices.try_update(|shown| *shown = in_their_places(std::mem::take(shown), now));
        if in_a_row {
            request_animation_frame(keep_focus);
        }
    });
}

/// Who still waits stays where it is, or a row would move under the hand that is about to press its button; who is new
/// comes last.
fn in_their_places(shown: Vec<PendingDevice>, mut now: Vec<PendingDevice>) -> Vec<PendingDevice> {
    let mut next = Vec::with_capacity(now.len());
    for old in shown {
        if let Some(at) = now.iter().position(|d| d.device_id == old.device_id) {
            next.push(now.remove(at));
        }
    }
    next.append(&mut now);
    next
}

/// The focus of a row that went falls to the page's body, from where a keyboard would begin anew.
fn keep_focus() {
    let lost = document().active_element().is_none_or(|element| element.tag_name() == "BODY");
    let heading = document().get_element_by_id(HEADING).and_then(|h| h.dyn_into::<web_sys::HtmlElement>().ok());
    if let Some(heading) = heading.filter(|_| lost) {
        // It fails only for what cannot have it.
        let _ = heading.focus();
    }
}

#[cfg(test)]
mod tests {
    use ccms_core::ids::DeviceId;

    use super::*;

    fn waits(id: &str, attempts: u32) -> PendingDevice {
        PendingDevice {
            device_id: DeviceId::parse(id).unwrap(),
            first_seen: UtcMillis(0),
            last_seen: UtcMillis(0),
            attempts,
            reported_name: String::new(),
            latitude: None,
            longitude: None,
            registered: false,
        }
    }

    #[test]
    fn rows_stay_where_they_are() {
        let shown = vec![waits("IMEI:1", 1), waits("IMEI:2", 1), waits("IMEI:3", 1)];
        let now = vec![waits("IMEI:4", 1), waits("IMEI:3", 5), waits("IMEI:1", 2)];
        assert_eq!(in_their_places(shown, now), [waits("IMEI:1", 2), waits("IMEI:3", 5), waits("IMEI:4", 1)]);
    }
}
