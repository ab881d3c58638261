-- Every sales line finds one version of its household: the one of the time when it was sold. A row
-- here is a household and time whose lines find none, and are lost where sales are read by answers as
-- they were, or several, and count as often. Look at the versions of the household; build them again
-- with `dbt build --select dim_households+`.
with visits as (

    select distinct
        household_id,
        sold_at
    from {{ ref('fct_sales_lines') }}

),

versions as (

    select
        household_id,
        valid_from,
        valid_to
    from {{ ref('dim_household_versions') }}

)

select
    visits.household_id,
    visits.sold_at,
    count(versions.household_id) as version_count
from visits
left join versions
    on
        visits.household_id = versions.household_id
        and visits.sold_at >= versions.valid_from
        and visits.sold_at < versions.valid_to
group by visits.household_id, visits.sold_at
having count(versions.household_id) <> 1
