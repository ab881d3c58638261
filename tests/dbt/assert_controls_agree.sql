-- What the source counted when it was last loaded is what raw, staging and the table that people
-- read hold, less what is explained: rows of every table, and every amount of the sales lines to
-- the cent. A row here is a figure that differs. Raw differs: rows came later than the look-back, or
-- were deleted at the source; load with `python -m ingestion --reconcile`, or a table without a
-- cursor with `--full-refresh --table SOURCE.NAME`, and build again. A mart differs: build it with
-- `--full-refresh`; if the row stays, a model is wrong. A row without a measure is a table that is
-- loaded and that audit_controls holds against nothing: add it to its `controls`.
{% set tables = [] %}
{% if execute %}
    {% for table in graph.sources.values() if table.name != 'load_control_totals' %}
        {% do tables.append((table.source_name, table.name)) %}
    {% endfor %}
{% endif %}

with controls as (

    select * from {{ ref('audit_controls') }}

),

loaded as (

    {% for source_name, table_name in tables | sort %}
        select
            '{{ source_name }}' as source_name,
            '{{ table_name }}' as table_name
        union all
    {% endfor %}
    select
        cast(null as {{ dbt.type_string() }}) as source_name,
        cast(null as {{ dbt.type_string() }}) as table_name
    where 1 = 0

),

controlled as (

    select
        source_name,
        table_name
    from controls
    where
        measure = 'row_count'
        and verdict <> 'superseded'

)

select
    source_name,
    table_name,
    measure,
    column_name,
    source_value,
    quarantined_value,
    raw_value,
    staging_value,
    mart_value,
    explained_difference
from controls
where verdict = 'differs'
union all
select
    loaded.source_name,
    loaded.table_name,
    cast(null as {{ dbt.type_string() }}) as measure,
    cast(null as {{ dbt.type_string() }}) as column_name,
    cast(null as decimal(38, 2)) as source_value,
    cast(null as decimal(38, 2)) as quarantined_value,
    cast(null as decimal(38, 2)) as raw_value,
    cast(null as decimal(38, 2)) as staging_value,
    cast(null as decimal(38, 2)) as mart_value,
    cast(null as decimal(38, 2)) as explained_difference
from loaded
left join controlled
    on
        loaded.source_name = controlled.source_name
        and loaded.table_name = controlled.table_name
where
    controlled.source_name is null
    and {{ rows_are_read() }}
