//! Which path is answered with what.

use std::time::Duration;

use axum::{
    Router,
    body::Bytes,
    extract::{
        DefaultBodyLimit, Path, RawQuery, State,
        rejection::{BytesRejection, PathRejection},
    },
    http::{HeaderMap, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
    routing::{get, post},
};

use super::{
    Api, attach, diagnostic, events, export,
    fault::{Fault, JSON, json},
    form::{self, Form},
    history, sparklines, stats, web,
};
use crate::{
    collector::Command,
    model::{
        Frame,
        status::{CollectionState, CollectorStatus, StoreState},
    },
    telemetry::{Json, answers, prometheus, status},
    wire,
};

/// How long an answer to start or stop waits for the collector to have heard.
const HEARD_WITHIN: Duration = Duration::from_secs(2);

/// How much longer than three intervals a frame may take to come.
const LATE: Duration = Duration::from_mins(1);

/// All paths.
pub(super) fn routes(api: Api) -> Router {
    let telemetry = Router::new()
        .route("/start", post(start))
        .route("/stop", post(stop))
        .route("/status", get(status_now))
        .route("/vms", get(vms))
        .route("/config", get(config))
        .route("/vm-telemetry", get(vm_telemetry))
        .route("/stats/{vm}", get(vm_stats))
        .route("/history", get(over_time))
        .route("/sparklines", get(of_late))
        .route("/export", get(exported))
        .route("/diagnostic", get(diagnosed))
        .route("/events", get(stream));
    Router::new()
        .nest("/api/telemetry", telemetry)
        .route("/", get(async |headers: HeaderMap| web::answer(&headers)))
        .route(wire::STREAM, get(attached))
        .route(wire::ASK, post(asked).layer(DefaultBodyLimit::max(wire::LONGEST_ASK)))
        .route("/healthz", get(health))
        .route("/metrics", get(metrics))
        .fallback(|| async { Fault::no_path() })
        .method_not_allowed_fallback(|| async { Fault::no_method() })
        .with_state(api)
}

async fn start(State(api): State<Api>) -> Response {
    let was_running = is_running(api.collector().as_ref());
    api.sources().collector.command(Command::Start);
    let status = heard(&api, |state| {
        matches!(state, CollectionState::Running { .. } | CollectionState::Failed { .. })
    })
    .await;
    let message = match status.as_ref().map(|status| &status.state) {
        Some(CollectionState::Running { .. }) if was_running => "collection runs already".to_owned(),
        Some(CollectionState::Running { .. }) => "collection runs".to_owned(),
        Some(CollectionState::Failed { why, .. }) => {
            format!("collection is started; libvirt cannot be read yet, and is tried again: {why}")
        }
        Some(CollectionState::Connecting { .. } | CollectionState::Stopped { .. }) | None => {
            "collection is started; libvirt is being connected to".to_owned()
        }
    };
    let running = is_running(status.as_ref());
    json(&api.0.mask.over(answers::started(&message, running, status.as_ref())))
}

async fn stop(State(api): State<Api>) -> Response {
    let stopped = |state: &CollectionState| matches!(state, CollectionState::Stopped { .. });
    let was = api.collector().is_none_or(|status| stopped(&status.state));
    api.sources().collector.command(Command::Stop);
    heard(&api, stopped).await;
    json(&answers::stopped(if was {
        "collection was stopped already"
    } else {
        "collection is stopped; what waits goes on to be delivered"
    }))
}

/// The collector's figures once its state is as `wanted`, or as they are.
async fn heard(api: &Api, wanted: impl Fn(&CollectionState) -> bool) -> Option<CollectorStatus> {
    let mut status = api.sources().status.clone();
    let is_wanted = |status: &Option<CollectorStatus>| status.as_ref().is_some_and(|s| wanted(&s.state));
    match tokio::time::timeout(HEARD_WITHIN, status.wait_for(is_wanted)).await {
        Ok(Ok(status)) => status.clone(),
        _ => api.collector(),
    }
}

fn is_running(status: Option<&CollectorStatus>) -> bool {
    status.is_some_and(|status| matches!(status.state, CollectionState::Running { .. }))
}

async fn status_now(State(api): State<Api>) -> Response {
    json(&status_of(&api))
}

/// The answer of `status`.
pub(super) fn status_of(api: &Api) -> Json {
    let (delivery, store) = api.sources().figures.borrow().clone();
    let collector = api.collector();
    let now = api.sources().clock.now().0;
    let mut answer = status::status(now, collector.as_ref(), &delivery, &store);
    if let Json::Object(fields) = &mut answer {
        fields.push(("config", api.0.in_force.in_status(collector.as_ref())));
        let screen = &api.sources().config.screen;
        let thresholds = vec![
            ("warn_percent", screen.warn_percent.into()),
            ("critical_percent", screen.critical_percent.into()),
        ];
        fields.push(("thresholds", Json::Object(thresholds)));
    }
    api.0.mask.over(answer)
}

async fn vms(State(api): State<Api>) -> Response {
    json(&answers::vms(api.frame().as_deref()))
}

async fn config(State(api): State<Api>) -> Response {
    json(&api.0.in_force.answer(api.collector().as_ref()))
}

async fn vm_telemetry(State(api): State<Api>, asked: HeaderMap) -> Result<Response, Fault> {
    let form = Form::wanted(&asked);
    let page = api.0.pages.asked(form);
    let tag = page.tag(form);
    let mut response = if form::has(&asked, &tag) {
        StatusCode::NOT_MODIFIED.into_response()
    } else {
        let figures = page.figures(form).await?;
        let mut response = ([(header::CONTENT_TYPE, JSON)], figures).into_response();
        if let Some(encoding) = form.encoding() {
            response.headers_mut().insert(header::CONTENT_ENCODING, encoding);
        }
        response
    };
    let headers = response.headers_mut();
    if let Ok(tag) = HeaderValue::from_str(&tag) {
        headers.insert(header::ETAG, tag);
    }
    headers.insert(header::VARY, HeaderValue::from_static("accept-encoding"));
    // Kept by whoever likes, and asked about before each use.
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("private, no-cache"));
    Ok(response)
}

async fn vm_stats(
    State(api): State<Api>,
    vm: Result<Path<String>, PathRejection>,
) -> Result<Response, Fault> {
    let Path(vm) = vm.map_err(|_| Fault::malformed("the VM's name in the path is no text"))?;
    Ok(json(&stats::answer(&api, &vm).await?))
}

async fn over_time(State(api): State<Api>, RawQuery(query): RawQuery) -> Result<Response, Fault> {
    Ok(json(&history::answer(&api, query.as_deref()).await?))
}

async fn of_late(State(api): State<Api>, RawQuery(query): RawQuery) -> Result<Response, Fault> {
    Ok(json(&sparklines::answer(&api, query.as_deref()).await?))
}

async fn exported(State(api): State<Api>, RawQuery(query): RawQuery) -> Result<Response, Fault> {
    export::answer(&api, query.as_deref()).await
}

async fn diagnosed(State(api): State<Api>) -> Response {
    json(&diagnostic::answer(&api).await)
}

async fn stream(State(api): State<Api>) -> Result<Response, Fault> {
    events::answer(&api)
}

async fn attached(State(api): State<Api>) -> Result<Response, Fault> {
    attach::stream(&api)
}

async fn asked(State(api): State<Api>, body: Result<Bytes, BytesRejection>) -> Result<Response, Fault> {
    attach::ask(&api, &body.map_err(|_| Fault::too_large())?).await
}

/// Whether the agent does its work: for whoever watches many, in a word.
async fn health(State(api): State<Api>) -> Response {
    let failing = matches!(api.sources().figures.borrow().1.state, StoreState::Failing { .. });
    let (word, well) = match api.collector().map(|status| status.state) {
        Some(CollectionState::Failed { .. }) => ("failing", false),
        _ if failing => ("failing", false),
        Some(CollectionState::Stopped { .. }) => ("stopped", true),
        Some(CollectionState::Running { .. }) => ("ok", true),
        Some(CollectionState::Connecting { .. }) | None => ("starting", true),
    };
    let code = if well { 200 } else { 503 };
    let mut response = json(&Json::Object(vec![("status", word.into())]));
    *response.status_mut() = axum::http::StatusCode::from_u16(code).unwrap_or_default();
    response
}

async fn metrics(State(api): State<Api>) -> Result<Response, Fault> {
    let vms = if is_of_now(&api) { api.0.pages.last().metrics().await? } else { Bytes::new() };
    let (delivery, store) = api.sources().figures.borrow().clone();
    let own = prometheus::accounting(api.collector().as_ref(), &delivery, &store);
    let text = [&vms[..], own.as_bytes()].concat();
    Ok(([(header::CONTENT_TYPE, prometheus::CONTENT_TYPE)], text).into_response())
}

/// Whether the last frame tells how the VMs are: a scraper takes what it is
/// given for what is now, and knows of itself what to do where nothing is.
fn is_of_now(api: &Api) -> bool {
    let stopped =
        api.collector().is_none_or(|status| matches!(status.state, CollectionState::Stopped { .. }));
    let now = api.sources().clock.now().1;
    let current = |frame: &Frame| now.since(frame.mono) <= frame.interval.saturating_mul(3) + LATE;
    !stopped && api.frame().is_some_and(|frame| current(&frame))
}
