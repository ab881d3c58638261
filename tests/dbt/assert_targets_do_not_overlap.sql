-- A KPI has one target at a time, and each target holds for some time and for figures that are
-- published. A row here is a target in seeds/kpi_targets.csv that does not do what whoever set it
-- means: end the earlier of two before the later one begins, let it end after it begins, or set it
-- for a grain at which the catalog publishes the KPI for all.
with targets as (

    select * from {{ ref('kpi_targets') }}

),

catalog as (

    select * from {{ ref('kpi_catalog') }}

),

overlapping as (

    select
        earlier.kpi_id,
        earlier.grain,
        earlier.valid_from,
        earlier.valid_to,
        'holds together with a later one' as finding
    from targets as earlier
    inner join targets as later
        on
            earlier.kpi_id = later.kpi_id
            and earlier.grain = later.grain
            and earlier.valid_from < later.valid_from
            and earlier.valid_to >= later.valid_from

),

ended as (

    select
        kpi_id,
        grain,
        valid_from,
        valid_to,
        'ends before it begins' as finding
    from targets
    where valid_to < valid_from

),

unpublished as (

    select
        targets.kpi_id,
        targets.grain,
        targets.valid_from,
        targets.valid_to,
        'is of a KPI and grain that the catalog does not publish' as finding
    from targets
    left join catalog
        on
            targets.kpi_id = catalog.kpi_id
            and {{ dbt.concat(["' '", 'catalog.published_slices', "' '"]) }}
            like {{ dbt.concat(["'% all/'", 'targets.grain', "' %'"]) }}
    where catalog.kpi_id is null

)

select * from overlapping
union all
select * from ended
union all
select * from unpublished
