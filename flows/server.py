"""What a Prefect server is told at the start: the work pool, the alarms, what the deployments refuse.

Talks to the server that `PREFECT_API_URL` names. `COMOVE_NOTIFY=<type>/<name>` is a notification block of
Prefect that is told of failed and late runs; without one they are events that the server's pages show.
"""

import os
from datetime import timedelta
from uuid import UUID

from prefect.client.orchestration import get_client
from prefect.client.schemas.actions import WorkPoolCreate
from prefect.client.schemas.filters import (
    FlowRunFilter,
    FlowRunFilterState,
    FlowRunFilterStateType,
    WorkPoolFilter,
    WorkPoolFilterName,
)
from prefect.client.schemas.objects import StateType
from prefect.client.schemas.responses import DeploymentResponse
from prefect.events.actions import ActionTypes, ChangeFlowRunState, DoNothing, SendNotification
from prefect.events.schemas.automations import AutomationCore, EventTrigger, Posture
from prefect.exceptions import ObjectNotFound
from prefect.states import Crashed

from flows.command import ServeError
from flows.parameters import closed

POOL = "comove"
UNDER_WAY = [StateType.PENDING, StateType.RUNNING, StateType.CANCELLING]
OURS = WorkPoolFilter(name=WorkPoolFilterName(any_=[POOL]))
ANY_RUN: dict[str, str | list[str]] = {"prefect.resource.id": "prefect.flow-run.*"}
HEARTBEAT, ENDS = "prefect.flow-run.heartbeat", ("Completed", "NoSession", "Failed", "Crashed", "Cancelled")
SILENCE = timedelta(seconds=150)  # after which a run counts as dead: five heartbeats, see pyproject.toml
ALARMS = {
    "comove: a run failed": {"prefect.flow-run.Failed", "prefect.flow-run.Crashed"},
    "comove: a run is late": {"prefect.flow-run.Late"},
}


def make_pool() -> None:
    """The work pool, where it is missing."""
    with get_client(sync_client=True) as client:
        try:
            client.read_work_pool(POOL)
        except ObjectNotFound:
            client.create_work_pool(WorkPoolCreate(name=POOL, type="process"))


def deployed() -> list[DeploymentResponse]:
    """The deployments of our work pool; the server may have others."""
    with get_client(sync_client=True) as client:
        return client.read_deployments(work_pool_filter=OURS)


def set_alarms() -> None:
    """The automations, for the runs of our deployments alone."""
    ids = [f"prefect.deployment.{one.id}" for one in deployed()]
    ours: dict[str, str | list[str]] = {"prefect.resource.role": "deployment", "prefect.resource.id": ids}
    for name, events in ALARMS.items():
        trigger = EventTrigger(
            expect=events, match=ANY_RUN, match_related=ours, posture=Posture.Reactive, threshold=1
        )
        set_automation(name, trigger, told(name))
    silence = EventTrigger(
        after={HEARTBEAT},
        expect={HEARTBEAT, *(f"prefect.flow-run.{end}" for end in ENDS)},
        match=ANY_RUN,
        match_related=ours,
        for_each={"prefect.resource.id"},
        posture=Posture.Proactive,
        threshold=1,
        within=SILENCE,
    )
    message = f"not a word from it for {SILENCE.seconds} s"
    crash = ChangeFlowRunState(name="Crashed", state=StateType.CRASHED, message=message, force=False)
    set_automation("comove: a run died", silence, crash)


def set_automation(name: str, trigger: EventTrigger, action: ActionTypes) -> None:
    """One automation, made anew where it is there already, so that its action is the one asked for now."""
    with get_client(sync_client=True) as client:
        for old in client.read_automations_by_name(name):
            client.delete_automation(old.id)
        client.create_automation(AutomationCore(name=name, trigger=trigger, actions=[action]))


def told(name: str) -> ActionTypes:
    """Notify, where somebody wants to be."""
    if block := os.environ.get("COMOVE_NOTIFY"):
        body = "{{ flow.name }}: {{ flow_run.name }} is {{ flow_run.state.name }}"
        return SendNotification(block_document_id=block_id(block), subject=name, body=body)
    return DoNothing()


def block_id(block: str) -> UUID:
    """The id of a notification block.

    Raises:
        ServeError: if it is not there.
    """
    kind, _, label = block.partition("/")
    try:
        with get_client(sync_client=True) as client:
            return client.read_block_document_by_name(label, kind).id
    except ObjectNotFound as error:
        raise ServeError(f"COMOVE_NOTIFY={block}: the server has no such block; make it first") from error


def bury() -> None:
    """Say of every run that was under way that it crashed: its worker is gone, ours does not run yet.

    It would keep the deployment's only slot, and with it the next runs from starting.
    """
    died = FlowRunFilter(state=FlowRunFilterState(type=FlowRunFilterStateType(any_=UNDER_WAY)))
    with get_client(sync_client=True) as client:
        for run in client.read_flow_runs(flow_run_filter=died, work_pool_filter=OURS):
            client.set_flow_run_state(run.id, Crashed(message="its worker was gone when comove was started"))


def refuse_unknown_parameters() -> None:
    """Forbid our deployments the parameters that their flows do not name; Prefect would pass them on."""
    with get_client(sync_client=True) as client:
        for one in deployed():
            schema = closed(one.parameter_openapi_schema or {})
            client.request(
                "PATCH",
                "/deployments/{id}",
                path_params={"id": one.id},
                json={"parameter_openapi_schema": schema},
            )
