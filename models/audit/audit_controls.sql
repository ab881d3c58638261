-- Grain: one row a (load_id, table_name, measure, column_name): what the source counted, and how
-- much of it raw, staging and the table that people read hold.
{% set controls = {
    'transactions': {
        'source': 'retail_db', 'staging': 'stg_retail_db__transactions', 'mart': 'fct_sales_lines',
        'sums': {
            'sales_value': 'net_sales_usd',
            'retail_disc': 'loyalty_discount_usd',
            'coupon_disc': 'coupon_discount_usd',
            'coupon_match_disc': 'coupon_match_discount_usd',
        },
    },
    'products': {
        'source': 'retail_db', 'staging': 'stg_retail_db__products', 'mart': 'dim_products',
        'where': 'is_in_catalog',
    },
    'demographics': {
        'source': 'retail_db', 'staging': 'stg_retail_db__demographics', 'mart': 'dim_households',
        'where': 'has_answered_survey',
    },
    'campaigns': {
        'source': 'retail_db', 'staging': 'stg_retail_db__campaigns',
        'mart': 'fct_campaign_households',
    },
    'campaign_descriptions': {
        'source': 'retail_db', 'staging': 'stg_retail_db__campaign_descriptions',
        'mart': 'dim_campaigns', 'where': 'not is_unknown',
    },
    'coupons': {
        'source': 'retail_db', 'staging': 'stg_retail_db__coupons',
        'mart': 'bridge_coupon_products',
        'reason': 'exact duplicates removed', 'key': 'coupon_upc, product_id, campaign_id',
    },
    'coupon_redemptions': {
        'source': 'retail_db', 'staging': 'stg_retail_db__coupon_redemptions',
        'mart': 'fct_coupon_redemptions',
    },
    'promotions': {
        'source': 'promotion_feed', 'staging': 'stg_promotion_feed__promotions',
        'mart': 'fct_promotion_weeks',
        'reason': 'second places of a product in a store and week merged',
        'key': 'product_id, store_id, week',
    },
} %}

with counted as (

    select
        'retail_db' as source_name,
        *
    from {{ ref('stg_retail_db__load_control_totals') }}
    union all
    select
        'promotion_feed' as source_name,
        *
    from {{ ref('stg_promotion_feed__load_control_totals') }}

),

at_source as (

    select
        source_name,
        table_name,
        measure,
        column_name,
        load_id,
        counted_at,
        -- The sum of an empty table is null at the source.
        coalesce(cast(measured_value as decimal(38, 2)), 0) as source_value,
        load_id = max(load_id) over (partition by source_name, table_name) as is_latest_load
    from counted
    where measure in ('row_count', 'amount_sum')

),

held as (

    {% for table, control in controls.items() %}
        {% set where = 'where ' ~ control.where if control.where else '' %}
        {% set raw = source(control.source, table) %}
        select
            '{{ control.source }}' as source_name,
            '{{ table }}' as table_name,
            'row_count' as measure,
            cast(null as {{ dbt.type_string() }}) as column_name,
            '{{ control.mart }}' as mart_name,
            cast((select count(*) from {{ raw }}) as decimal(38, 2)) as raw_value,
            cast((select count(*) from {{ ref(control.staging) }}) as decimal(38, 2)) as staging_value,
            cast((select count(*) from {{ ref(control.mart) }} {{ where }}) as decimal(38, 2)) as mart_value,
            {% if control.key %}
                '{{ control.reason }}' as difference_reason,
                cast(
                    (select count(*) from {{ raw }})
                    - (select count(*) from (select distinct {{ control.key }} from {{ raw }}) as keys)
                    as decimal(38, 2)
                ) as explained_difference
            {% else %}
                cast(null as {{ dbt.type_string() }}) as difference_reason,
                cast(0 as decimal(38, 2)) as explained_difference
            {% endif %}
        {% for raw_column, column in control.get('sums', {}).items() %}
            union all
            select
                '{{ control.source }}' as source_name,
                '{{ table }}' as table_name,
                'amount_sum' as measure,
                '{{ raw_column }}' as column_name,
                '{{ control.mart }}' as mart_name,
                coalesce(
                    (select sum(cast({{ raw_column }} as decimal(18, 2))) from {{ raw }}), 0
                ) as raw_value,
                coalesce((select sum({{ column }}) from {{ ref(control.staging) }}), 0) as staging_value,
                coalesce((select sum({{ column }}) from {{ ref(control.mart) }}), 0) as mart_value,
                cast(null as {{ dbt.type_string() }}) as difference_reason,
                cast(0 as decimal(38, 2)) as explained_difference
        {% endfor %}
        {{ 'union all' if not loop.last }}
    {% endfor %}

),

-- The warehouse is of the latest load of each table; what earlier ones counted is history.
joined as (

    select
        coalesce(at_source.source_name, held.source_name) as source_name,
        coalesce(at_source.table_name, held.table_name) as table_name,
        coalesce(at_source.measure, held.measure) as measure,
        coalesce(at_source.column_name, held.column_name) as column_name,
        at_source.load_id,
        at_source.counted_at,
        coalesce(at_source.is_latest_load, true) as is_latest_load,
        held.mart_name,
        at_source.source_value,
        held.raw_value,
        held.staging_value,
        held.mart_value,
        held.difference_reason,
        held.explained_difference
    from at_source
    full outer join held
        on
            at_source.source_name = held.source_name
            and at_source.table_name = held.table_name
            and at_source.measure = held.measure
            and at_source.column_name is not distinct from held.column_name
            and at_source.is_latest_load

),

final as (

    select
        *,
        case
            when not is_latest_load then 'superseded'
            when (source_value is distinct from raw_value) then 'differs'
            when (raw_value is distinct from staging_value) then 'differs'
            when (staging_value is distinct from mart_value + explained_difference) then 'differs'
            else 'agrees'
        end as verdict
    from joined

)

select * from final
