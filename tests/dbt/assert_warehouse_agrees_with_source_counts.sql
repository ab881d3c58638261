-- What the source counted when it was last loaded is what the warehouse holds: rows of every
-- table, and the sum of every amount of the sales lines, to the cent. A row here is a figure that
-- differs: rows came later than the look-back, or were deleted at the source. Load the table with
-- `python -m ingestion --full-refresh --table NAME` and build again.
{% set raw_tables = {
    'retail_db': [
        'transactions', 'products', 'demographics', 'campaigns', 'campaign_descriptions',
        'coupons', 'coupon_redemptions',
    ],
    'promotion_feed': ['promotions'],
} -%}
{% set amounts = ['sales_value', 'retail_disc', 'coupon_disc', 'coupon_match_disc'] -%}
with counted as (

    select * from {{ ref('stg_retail_db__load_control_totals') }}
    union all
    select * from {{ ref('stg_promotion_feed__load_control_totals') }}

),

latest as (

    select
        table_name,
        max(load_id) as load_id
    from counted
    group by table_name

),

at_source as (

    select
        counted.table_name,
        counted.measure,
        counted.column_name,
        cast(counted.measured_value as decimal(38, 6)) as counted_value
    from counted
    inner join latest
        on
            counted.table_name = latest.table_name
            and counted.load_id = latest.load_id
    where counted.measure in ('row_count', 'amount_sum')

),

in_warehouse as (

    {% for source_name, tables in raw_tables.items() %}
        {% for table in tables %}
            select
                '{{ table }}' as table_name,
                'row_count' as measure,
                cast(null as {{ dbt.type_string() }}) as column_name,
                cast(count(*) as decimal(38, 6)) as held_value
            from {{ source(source_name, table) }}
            union all
        {% endfor %}
    {% endfor %}
    {% for amount in amounts %}
        select
            'transactions' as table_name,
            'amount_sum' as measure,
            '{{ amount }}' as column_name,
            cast(coalesce(sum(cast({{ amount }} as decimal(18, 2))), 0) as decimal(38, 6)) as held_value
        from {{ source('retail_db', 'transactions') }}
        {{ 'union all' if not loop.last }}
    {% endfor %}

)

select
    coalesce(at_source.table_name, in_warehouse.table_name) as table_name,
    coalesce(at_source.measure, in_warehouse.measure) as measure,
    coalesce(at_source.column_name, in_warehouse.column_name) as column_name,
    at_source.counted_value,
    in_warehouse.held_value
from at_source
full outer join in_warehouse
    on
        at_source.table_name = in_warehouse.table_name
        and at_source.measure = in_warehouse.measure
        and at_source.column_name is not distinct from in_warehouse.column_name
where coalesce(at_source.counted_value, 0) is distinct from in_warehouse.held_value
