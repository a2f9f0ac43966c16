"""OpenLineage events of a run: its start with what it reads, and its end with what it made.

Source: OpenLineage 2-0-2, and the facets whose classes its Python client has.
"""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import pyspark
from openlineage.client.event_v2 import InputDataset, Job, OutputDataset, Run, RunEvent, RunState
from openlineage.client.facet_v2 import (
    column_lineage_dataset,
    data_quality_assertions_dataset,
    dataset_version_dataset,
    error_message_run,
    input_statistics_input_dataset,
    job_type_job,
    output_statistics_output_dataset,
    parent_run,
    processing_engine_run,
    schema_dataset,
    source_code_job,
    symlinks_dataset,
)
from openlineage.client.uuid import generate_new_uuid
from pyspark.sql import types as T

from lakebalance import __version__
from lakebalance.core.secrets import hide
from lakebalance.lineage.columns import Origin, origins
from lakebalance.lineage.tables import Described
from lakebalance.recipe.models import Recipe

PRODUCER = f"https://pypi.org/project/lakebalance/{__version__}"
SEVERITIES = {"stop": "error", "quarantine": "warn", "warn": "warn"}
COLUMN = re.compile(r"\bcolumn='((?:[^'\\]|\\.)*)'")


@dataclass
class Story:
    """The events of one run.

    Parameters
    ----------
    recipe : what is run.
    inputs : the sources by their names; ``rows`` are not known before they are counted.
    namespace : of jobs, as OPENLINEAGE_NAMESPACE has it.
    parent : ``NAMESPACE/JOB/RUN`` of the task that runs it, as OPENLINEAGE_PARENT_ID has it.
    """

    recipe: Recipe
    inputs: Mapping[str, Described]
    namespace: str
    parent: str = ""
    id: str = field(default_factory=lambda: str(generate_new_uuid()))

    def started(self) -> RunEvent:
        """The run has begun."""
        return self._event(RunState.START, inputs=self._inputs({}, []))

    def failed(self, error: BaseException) -> RunEvent:
        """The run has published nothing."""
        stopped = isinstance(error, KeyboardInterrupt)
        said = error_message_run.ErrorMessageRunFacet(
            message=hide(str(error) or type(error).__name__), programmingLanguage="PYTHON"
        )
        state = RunState.ABORT if stopped else RunState.FAIL
        return self._event(state, inputs=self._inputs({}, []), errorMessage=said)

    def finished(
        self, plan: Mapping[str, Any], outputs: Sequence[tuple[Described, bool]]
    ) -> RunEvent:
        """The run has published its tables.

        Parameters
        ----------
        plan : as ``Plan.summary`` makes it.
        outputs : the tables that it wrote, and whether each has rows made out of several others.
        """
        rows = {source["name"]: source["rows"] for source in plan["sources"]}
        inputs = self._inputs(rows, plan["gates"])
        made = [self._output(table, synthetic) for table, synthetic in outputs]
        return self._event(RunState.COMPLETE, inputs=inputs, outputs=made)

    def _event(
        self,
        state: RunState,
        inputs: list[InputDataset],
        outputs: list[OutputDataset] | None = None,
        **facets: Any,
    ) -> RunEvent:
        now = dt.datetime.now(dt.timezone.utc).isoformat()
        if self.parent:
            namespace, job, run = self.parent.rsplit("/", 2)
            facets["parent"] = parent_run.ParentRunFacet(
                run=parent_run.Run(runId=run), job=parent_run.Job(namespace=namespace, name=job)
            )
        engine = processing_engine_run.ProcessingEngineRunFacet(
            version=pyspark.__version__, name="spark", openlineageAdapterVersion=__version__
        )
        run_facets = {"processing_engine": engine, **facets}
        return RunEvent(
            eventType=state,
            eventTime=now,
            run=Run(runId=self.id, facets=run_facets),
            job=Job(namespace=self.namespace, name=self.recipe.name, facets=self._job_facets()),
            inputs=inputs,
            outputs=outputs or [],
            producer=PRODUCER,
        )

    def _job_facets(self) -> dict[str, Any]:
        return {
            "jobType": job_type_job.JobTypeJobFacet(
                processingType="BATCH", integration="LAKEBALANCE", jobType="JOB"
            ),
            "sourceCode": source_code_job.SourceCodeJobFacet(
                language="yaml", sourceCode=self.recipe.to_yaml()
            ),
        }

    def _inputs(
        self, rows: Mapping[str, int], gates: Sequence[Mapping[str, Any]]
    ) -> list[InputDataset]:
        return [
            InputDataset(
                table.dataset.namespace,
                table.dataset.name,
                facets=_facets(table),
                inputFacets={
                    **_read(rows.get(name)),
                    **_asserted([g for g in gates if g["source"] in (None, name)]),
                },
            )
            for name, table in self.inputs.items()
        ]

    def _output(self, table: Described, synthetic: bool) -> OutputDataset:
        columns = {name: table.columns.names for name, table in self.inputs.items()}
        fields, deciding = origins(self.recipe, columns, table.columns.names, synthetic=synthetic)
        lineage = column_lineage_dataset.ColumnLineageDatasetFacet(
            fields={
                name: column_lineage_dataset.Fields(inputFields=[self._field(o) for o in found])
                for name, found in fields.items()
            },
            dataset=[self._field(origin) for origin in deciding],
        )
        counted = output_statistics_output_dataset.OutputStatisticsOutputDatasetFacet(table.rows)
        return OutputDataset(
            table.dataset.namespace,
            table.dataset.name,
            facets={**_facets(table), "columnLineage": lineage},
            outputFacets={"outputStatistics": counted},
        )

    def _field(self, origin: Origin) -> column_lineage_dataset.InputField:
        of = self.inputs[origin.source].dataset
        kind = "DIRECT" if origin.is_direct else "INDIRECT"
        how = column_lineage_dataset.Transformation(type=kind, subtype=origin.kind)
        return column_lineage_dataset.InputField(of.namespace, of.name, origin.column, [how])


def _facets(table: Described) -> dict[str, Any]:
    facets: dict[str, Any] = {
        "schema": schema_dataset.SchemaDatasetFacet(_schema(table.columns)),
        "version": dataset_version_dataset.DatasetVersionDatasetFacet(str(table.version)),
    }
    if table.dataset.alias:
        own = symlinks_dataset.Identifier(table.dataset.namespace, table.dataset.alias, "TABLE")
        facets["symlinks"] = symlinks_dataset.SymlinksDatasetFacet([own])
    return facets


def _schema(columns: T.StructType) -> list[schema_dataset.SchemaDatasetFacetFields]:
    return [
        schema_dataset.SchemaDatasetFacetFields(
            name=field.name,
            type=field.dataType.simpleString(),
            ordinal_position=i,
            fields=_schema(field.dataType) if isinstance(field.dataType, T.StructType) else [],
        )
        for i, field in enumerate(columns.fields, start=1)
    ]


def _read(rows: int | None) -> dict[str, Any]:
    if rows is None:
        return {}
    counted = input_statistics_input_dataset.InputStatisticsInputDatasetFacet(rowCount=rows)
    return {"inputStatistics": counted}


def _asserted(gates: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    if not gates:
        return {}
    found = [
        data_quality_assertions_dataset.Assertion(
            assertion=gate["expectation"].partition("(")[0],
            success=gate["success"],
            column=column[1] if (column := COLUMN.search(gate["expectation"])) else None,
            severity=SEVERITIES[gate["on_fail"]],
            name=gate["expectation"],
            actual=None if gate["unexpected"] is None else str(gate["unexpected"]),
        )
        for gate in gates
    ]
    facet = data_quality_assertions_dataset.DataQualityAssertionsDatasetFacet(found)
    return {"dataQualityAssertions": facet}
