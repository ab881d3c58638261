-- Every week of the feed is in the fact as the latest load of it has it, and no other week is. A row
-- here is a week that the incremental build missed, or that the feed no longer has. Build again with
-- `dbt build --full-refresh --select fct_promotion_weeks+`.
{{ config(group='marketing') }}

with feed as (

    select
        business_week,
        max(load_id) as load_id
    from {{ ref('int_marketing__promotions_attributed') }}
    group by business_week

),

fact as (

    select
        business_week,
        min(load_id) as least_load_id,
        max(load_id) as load_id
    from {{ ref('fct_promotion_weeks') }}
    group by business_week

)

select
    coalesce(feed.business_week, fact.business_week) as business_week,
    feed.load_id as feed_load_id,
    fact.load_id as fact_load_id
from feed
full outer join fact
    on feed.business_week = fact.business_week
where
    feed.load_id is distinct from fact.load_id
    or fact.load_id is distinct from fact.least_load_id
