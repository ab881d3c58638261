-- Every figure of kpi_values is what its recomputation from the raw tables gives. A row here is a
-- figure that differs, that only one side has, or that was not audited. Nothing is published until
-- it agrees: compare int_kpis__measures_unpivoted with audit_measures for the KPI's two measures.
with reported as (

    select * from {{ ref('kpi_values') }}

),

audited as (

    select * from {{ ref('audit_kpis') }}

),

differing as (

    select
        kpi_id,
        grain,
        period_start_date,
        slice,
        slice_value,
        'differs' as finding
    from audited
    where not is_equal

),

unaudited as (

    select
        reported.kpi_id,
        reported.grain,
        reported.period_start_date,
        reported.slice,
        reported.slice_value,
        'not audited' as finding
    from reported
    left join audited
        on
            reported.kpi_id = audited.kpi_id
            and reported.grain = audited.grain
            and reported.period_start_date = audited.period_start_date
            and reported.slice = audited.slice
            and reported.slice_value = audited.slice_value
            and reported.value is not distinct from audited.reported_value
    where audited.kpi_id is null

)

select * from differing
union all
select * from unaudited
