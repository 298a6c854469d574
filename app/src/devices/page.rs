//! The page of waiting controllers.
use ccms_core::view::PendingDevice;
use leptos::either::EitherOf3;
use leptos::prelude::*;
use leptos_meta::Title;

use super::{Approve, waiting};
use crate::bound::{flag, text};
use crate::clock::CityClock;

#[component]
pub fn DevicesPage() -> impl IntoView {
    let action = ServerAction::<Approve>::new();
    let devices = Resource::new_blocking(move || action.version().get(), |_| waiting());
    let refusal = move || action.value().get().and_then(Result::err).map(|error| error.to_string());
    let let_in = move || action.value().get().is_some_and(|answer| answer.is_ok());
    view! {
        <Title text="Devices"/>
        <div class="sheet">
            <header class="sheet-head">
                <div>
                    <h1>"Waiting devices"</h1>
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
                        Err(error) => EitherOf3::A(view! { <p class="alert" role="alert">{error.to_string()}</p> }),
                        Ok(devices) if devices.is_empty() => EitherOf3::B(view! { <Nobody/> }),
                        Ok(devices) => EitherOf3::C(view! { <Table devices action/> }),
                    }
                })}
            </Transition>
        </div>
    }
}

#[component]
fn Nobody() -> impl IntoView {
    view! {
        <section class="card empty" data-testid="devices-empty">
            <h2>"No device is waiting"</h2>
            <p>"When a new controller asks to be let in and needs a person's approval, it appears here."</p>
            <p><a class="button" href="/map">"To the map"</a></p>
        </section>
    }
}

#[component]
fn Table(devices: Vec<PendingDevice>, action: ServerAction<Approve>) -> impl IntoView {
    let clock = expect_context::<CityClock>();
    let row = move |device: PendingDevice| {
        let id = device.device_id.to_string();
        let place = device
            .latitude
            .zip(device.longitude)
            .map_or_else(|| "–".into(), |(lat, lon)| format!("{lat:.5}, {lon:.5}"));
        let why = if device.registered { "Known; its claim window is closed" } else { "Not registered" };
        let (first, last) = (device.first_seen, device.last_seen);
        view! {
            <tr data-testid="waiting-device">
                <th scope="row" class="mono">{id.clone()}</th>
                <td class="name">{device.reported_name}</td>
                <td data-label="Why it waits">{why}</td>
                <td data-label="Position">{place}</td>
                <td data-label="First asked" title=clock.date_time(first)>{text(move || clock.age(first))}</td>
                <td data-label="Last asked" title=clock.date_time(last)>{text(move || clock.age(last))}</td>
                <td data-label="Times">{device.attempts}</td>
                <td class="act">
                    <ActionForm action>
                        <input type="hidden" name="device" value=id.clone()/>
                        <button type="submit" class="button primary" data-testid="approve" aria-label=format!("Approve {id}")>"Approve"</button>
                    </ActionForm>
                </td>
            </tr>
        }
    };
    view! {
        <div class="scroll" tabindex="0" role="region" aria-label="Waiting devices">
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
                <tbody>{devices.into_iter().map(row).collect_view()}</tbody>
            </table>
        </div>
    }
}
