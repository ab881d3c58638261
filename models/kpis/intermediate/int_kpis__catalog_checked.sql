-- Grain: one row a KPI (kpi_id). The catalog as the seed has it; a catalog that cannot be right
-- stops here, before any figure is made with it.
{{ check_kpi_catalog(ref('kpi_catalog')) }}

with catalog as (

    select * from {{ ref('kpi_catalog') }}

)

select * from catalog
