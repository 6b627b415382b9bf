"""The board: a control room's live view of tasks and alerts, and the interface that any force's dashboard can use.

Its HTTP interface is described by the OpenAPI document at `/api/v1/openapi.json`.
"""
