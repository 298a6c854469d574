//! The page of the table.
use ccms_core::light::Indicator;
use ccms_core::view::{LightHit, LightsPage as Rows};
use leptos::either::Either;
use leptos::prelude::*;
use leptos_meta::Title;
use leptos_router::hooks::use_query_map;

use super::page;
use crate::bound::{flag, text};
use crate::clock::CityClock;
use crate::icons::mark;
use crate::light::{cause_short, indicator_word, power_word};

#[component]
pub fn LightsPage() -> impl IntoView {
    let query = use_query_map();
    let of = move |key: &str| query.read().get(key).unwrap_or_default();
    let wanted = Memo::new(move |_| {
        let show = Indicator::ALL.into_iter().find(|i| i.as_str() == of("show"));
        (of("q"), show, of("after").parse::<u32>().ok())
    });
    let rows = Resource::new_blocking(move || wanted.get(), |(q, show, after)| page(q, show, after));
    view! {
        <Title text="Lights"/>
        <div class="sheet">
            <header class="sheet-head">
                <h1>"Lights"</h1>
                <Filter wanted/>
            </header>
            <Transition fallback=|| view! { <p class="quiet" role="status">"Asking for the lights"</p> }>
                {move || Suspend::new(async move {
                    match rows.await {
                        Ok(rows) => Either::Left(view! { <Table rows wanted/> }),
                        Err(error) => Either::Right(view! { <p class="alert" role="alert">{error.to_string()}</p> }),
                    }
                })}
            </Transition>
        </div>
    }
}

type Wanted = Memo<(String, Option<Indicator>, Option<u32>)>;

/// A plain form: the address carries the filter.
#[component]
fn Filter(wanted: Wanted) -> impl IntoView {
    let option = move |indicator: Indicator| {
        view! {
            <option value=indicator.as_str() selected=flag(move || wanted.get().1 == Some(indicator))>
                {indicator_word(indicator)}
            </option>
        }
    };
    view! {
        <form class="filter" method="get" action="/lights" role="search" aria-label="Filter the table">
            <label class="field">
                <span>"Id, IMEI, name or address"</span>
                <input type="search" name="q" value=text(move || wanted.get().0) data-testid="lights-filter"/>
            </label>
            <label class="field">
                <span>"State"</span>
                <select name="show">
                    <option value="">"All"</option>
                    {Indicator::ALL.map(option).collect_view()}
                </select>
            </label>
            <button type="submit" class="button">"Filter"</button>
        </form>
    }
}

#[component]
fn Table(rows: Rows, wanted: Wanted) -> impl IntoView {
    let clock = expect_context::<CityClock>();
    let Rows { hits, next_after_no, total } = rows;
    if hits.is_empty() {
        return Either::Left(view! { <Empty filtered=wanted.get_untracked() != (String::new(), None, None)/> });
    }
    let row = move |hit: LightHit| {
        let map = format!("/map?light={}", hit.light_id);
        let lamp = match (hit.power_state, hit.brightness_percent) {
            (Some(state), Some(percent)) if state == ccms_core::reading::PowerState::On => {
                format!("{} · {percent} %", power_word(state))
            }
            (Some(state), _) => power_word(state).into(),
            (None, _) => "–".into(),
        };
        let seen = hit.last_contact;
        view! {
            <tr data-testid="light-row">
                <th scope="row"><a class="mono" href=map>{hit.light_id.to_string()}</a></th>
                <td class="state">{mark(hit.indicator)}<span>{cause_short(hit.cause)}</span></td>
                <td class="lamp">{lamp}</td>
                <td class="name">{hit.name}</td>
                <td class="address">{hit.address}</td>
                <td class="controller mono">{hit.device_id.map(|d| d.to_string())}</td>
                <td class="seen" title=seen.map(|at| clock.date_time(at))>{text(move || seen.map_or_else(|| "Never".into(), |at| clock.age(at)))}</td>
            </tr>
        }
    };
    let count = match total {
        1 => "1 light".to_owned(),
        n => format!("{n} lights"),
    };
    let more = next_after_no.map(|after| {
        view! {
            <a class="button" data-testid="lights-next" href=text(move || next_page(&wanted.get(), after))>"Next page"</a>
        }
    });
    let first = wanted.get_untracked().2.map(|_| {
        view! {
            <a class="button" href=text(move || { let (q, show, _) = wanted.get(); address(&q, show, None) })>"First page"</a>
        }
    });
    Either::Right(view! {
        <p class="quiet" role="status" data-testid="lights-total">{count}</p>
        <div class="scroll" tabindex="0" role="region" aria-label="Table of lights">
            <table class="table rows lights-table">
                <thead>
                    <tr>
                        <th scope="col">"Light"</th>
                        <th scope="col">"State"</th>
                        <th scope="col">"Lamp"</th>
                        <th scope="col">"Name"</th>
                        <th scope="col">"Address"</th>
                        <th scope="col">"Controller"</th>
                        <th scope="col">"Last seen"</th>
                    </tr>
                </thead>
                <tbody>{hits.into_iter().map(row).collect_view()}</tbody>
            </table>
        </div>
        <p class="actions">{first}{more}</p>
    })
}

#[component]
fn Empty(filtered: bool) -> impl IntoView {
    let (said, link, to) = if filtered {
        ("No light matches this filter.", "Show all lights", "/lights")
    } else {
        (
            "There are no lights yet. A light appears by itself when its controller reports for the first time.",
            "To the map",
            "/map",
        )
    };
    view! {
        <section class="card empty" data-testid="lights-empty">
            <p>{said}</p>
            <p><a class="button" href=to>{link}</a></p>
        </section>
    }
}

fn next_page((q, show, _): &(String, Option<Indicator>, Option<u32>), after: u32) -> String {
    address(q, *show, Some(after))
}

/// The address of a page of the table.
pub fn address(q: &str, show: Option<Indicator>, after: Option<u32>) -> String {
    let mut map = leptos_router::params::ParamsMap::new();
    if !q.is_empty() {
        map.insert("q", q.to_owned());
    }
    if let Some(show) = show {
        map.insert("show", show.as_str().to_owned());
    }
    if let Some(after) = after {
        map.insert("after", after.to_string());
    }
    format!("/lights{}", map.to_query_string())
}

#[cfg(test)]
mod tests {
    use super::address;
    use ccms_core::light::Indicator;

    #[test]
    fn a_page_of_the_table_has_an_address() {
        assert_eq!(address("", None, None), "/lights");
        assert_eq!(address("", Some(Indicator::Red), Some(100)), "/lights?show=red&after=100");
        assert_eq!(address("a b", None, None), "/lights?q=a%20b");
    }
}
