-- Grain: one row a product promoted in a store in a business week
-- (product_id, store_id, business_week, source_system: products and stores that are not known are of
-- several). A product that is not promoted has no row.
{{
    config(
        materialized='incremental',
        incremental_strategy='delete+insert',
        unique_key='business_week',
        on_schema_change='fail',
        pre_hook="{{ delete_periods_that_differ(
            'business_week',
            ref('int_marketing__promotions_attributed'),
        ) }}",
    )
}}

with promotions as (

    select * from {{ ref('int_marketing__promotions_attributed') }}

),

-- The feed delivers a week as a whole, so the load is one of the week, not of each row. (Read
-- from the model itself: DuckDB materializes a CTE that is read twice.)
loaded_weeks as (

    select
        business_week,
        max(load_id) as load_id
    from {{ ref('int_marketing__promotions_attributed') }}
    group by business_week

),

{% if is_incremental() -%}
built_weeks as (

    select
        business_week,
        max(load_id) as load_id
    from {{ this }}
    group by business_week

),

{% endif -%}
-- A week is built as a whole, when its latest load is another than that which it was built of. (The
-- pre-hook takes out the weeks that the feed has no more.)
weeks_to_build as (

    select
        loaded_weeks.business_week,
        loaded_weeks.load_id
    from loaded_weeks
    {% if is_incremental() -%}
    left join built_weeks
        on loaded_weeks.business_week = built_weeks.business_week
    where
        built_weeks.business_week is null
        or loaded_weeks.load_id <> built_weeks.load_id
    {%- endif %}

),

promotions_to_build as (

    select promotions.*
    from promotions
    where
        promotions.business_week in (
            select weeks_to_build.business_week from weeks_to_build
        )

),

-- A product can stand at two places of one store in one week; each is a row of the feed. '0' (not
-- there) is no place beside one, whatever its code.
deduplicated as (

    select
        product_id,
        store_id,
        source_system,
        business_week,
        coalesce(max(nullif(display_location, '0')), '0') as display_location,
        coalesce(max(nullif(mailer_location, '0')), '0') as mailer_location
    from promotions_to_build
    group by product_id, store_id, source_system, business_week

),

final as (

    select
        deduplicated.product_id,
        deduplicated.store_id,
        deduplicated.source_system,
        deduplicated.business_week,
        deduplicated.display_location,
        deduplicated.mailer_location,
        deduplicated.display_location <> '0' as is_on_display,
        deduplicated.mailer_location <> '0' as is_in_mailer,
        weeks_to_build.load_id
    from deduplicated
    inner join weeks_to_build
        on deduplicated.business_week = weeks_to_build.business_week

)

select * from final
