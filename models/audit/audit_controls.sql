-- Grain: one row a (source_name, load_id, table_name, measure, column_name): what the source counted,
-- and how much of it raw, staging and the table that people read hold.
--
-- To add a table, add an entry to `controls`: which rows of the mart are of it (`where`), its sums
-- as raw column, staging and mart have them, and what the mart leaves out, with the reason, counted
-- in the raw tables: a number of rows, and for each sum an amount.
{% set counted, controls = {}, [] %}
{% if 'retail_db' in var('source_systems') %}
    {% do counted.update({
        'retail_db': 'stg_retail_db__load_control_totals',
        'promotion_feed': 'stg_promotion_feed__load_control_totals',
    }) %}
    {% do controls.extend([
        {
            'source': 'retail_db', 'table': 'transactions', 'mart': 'fct_sales_lines',
            'staging': 'stg_retail_db__transactions', 'where': "source_system = 'retail_db'",
            'sums': {
                'quantity': ('quantity', 'quantity'),
                'sales_value': ('net_sales_usd', 'net_sales_usd'),
                'retail_disc': ('loyalty_discount_usd', 'loyalty_discount_usd'),
                'coupon_disc': ('coupon_discount_usd', 'coupon_discount_usd'),
                'coupon_match_disc': ('coupon_match_discount_usd', 'coupon_match_discount_usd'),
            },
        },
        {
            'source': 'retail_db', 'table': 'products', 'mart': 'dim_products',
            'staging': 'stg_retail_db__products',
            'where': "source_system = 'retail_db' and is_in_catalog",
        },
        {
            'source': 'retail_db', 'table': 'demographics', 'mart': 'dim_households',
            'staging': 'stg_retail_db__demographics',
            'where': "source_system = 'retail_db' and has_answered_survey",
        },
        {
            'source': 'retail_db', 'table': 'campaigns', 'mart': 'fct_campaign_households',
            'staging': 'stg_retail_db__campaigns', 'where': "source_system = 'retail_db'",
        },
        {
            'source': 'retail_db', 'table': 'campaign_descriptions', 'mart': 'dim_campaigns',
            'staging': 'stg_retail_db__campaign_descriptions', 'where': "source_system = 'retail_db'",
        },
        {
            'source': 'retail_db', 'table': 'coupons', 'mart': 'bridge_coupon_products',
            'staging': 'stg_retail_db__coupons', 'where': "source_system = 'retail_db'",
            'reasons': {'exact duplicates removed': {
                'rows': audit_duplicates(
                    source('retail_db', 'coupons'), 'coupon_upc, product_id, campaign_id'
                ),
            }},
        },
        {
            'source': 'retail_db', 'table': 'coupon_redemptions', 'mart': 'fct_coupon_redemptions',
            'staging': 'stg_retail_db__coupon_redemptions', 'where': "source_system = 'retail_db'",
        },
        {
            'source': 'promotion_feed', 'table': 'promotions', 'mart': 'fct_promotion_weeks',
            'staging': 'stg_promotion_feed__promotions',
            'where': "source_system = 'retail_db'",
            'reasons': {'second places of a product in a store and week merged': {
                'rows': audit_duplicates(
                    source('promotion_feed', 'promotions'), 'product_id, store_id, week'
                ),
            }},
        },
    ]) %}
{% endif %}
{% if 'online_shop' in var('source_systems') %}
    {% do counted.update({'online_shop': 'stg_online_shop__load_control_totals'}) %}
    {% set orders, order_items = source('online_shop', 'orders'), source('online_shop', 'order_items') %}
    {% set paid = "(select id from " ~ orders ~ " where status = 'paid')" %}
    {% set not_paid = "(select id from " ~ orders ~ " where status in ('cancelled', 'refunded'))" %}
    {# Such as those of an order in quarantine; orders have a control of their own. #}
    {% set of_no_order = order_items ~ ' where order_id not in (select id from ' ~ orders ~ ')' %}
    {% do controls.extend([
        {
            'source': 'online_shop', 'table': 'customers', 'mart': 'dim_households',
            'staging': 'stg_online_shop__customers',
            'where': 'household_id in (select household_id from ' ~ ref('stg_online_shop__customers') ~ ')',
        },
        {
            'source': 'online_shop', 'table': 'items', 'mart': 'dim_products',
            'staging': 'stg_online_shop__items',
            'where': "source_system = 'online_shop' and is_in_catalog",
        },
        {
            'source': 'online_shop', 'table': 'orders', 'mart': 'fct_baskets',
            'staging': 'stg_online_shop__orders', 'where': "source_system = 'online_shop'",
            'reasons': {
                'cancelled or refunded': {'rows': 'select count(*) from ' ~ not_paid ~ ' as orders'},
                'paid without a line': {
                    'rows': 'select count(*) from ' ~ paid
                        ~ ' as orders where id not in (select order_id from ' ~ order_items ~ ')',
                },
            },
        },
        {
            'source': 'online_shop', 'table': 'order_items', 'mart': 'fct_sales_lines',
            'staging': 'stg_online_shop__order_items', 'where': "source_system = 'online_shop'",
            'sums': {
                'quantity': ('quantity', 'quantity'),
                'list_price_cents': ('100 * list_price_usd', '100 * gross_sales_usd'),
                'discount_cents': (
                    '100 * discount_usd',
                    '100 * (loyalty_discount_usd + coupon_match_discount_usd + coupon_discount_usd)',
                ),
            },
            'reasons': {
                'lines of cancelled or refunded orders': {
                    'rows': 'select count(*) from ' ~ order_items ~ ' where order_id in ' ~ not_paid,
                    'quantity': 'select sum(quantity) from ' ~ order_items
                        ~ ' where order_id in ' ~ not_paid,
                    'list_price_cents': 'select sum(list_price_cents) from ' ~ order_items
                        ~ ' where order_id in ' ~ not_paid,
                    'discount_cents': 'select sum(discount_cents) from ' ~ order_items
                        ~ ' where order_id in ' ~ not_paid,
                },
                'lines without an order': {
                    'rows': 'select count(*) from ' ~ of_no_order,
                    'quantity': 'select sum(quantity) from ' ~ of_no_order,
                    'list_price_cents': 'select sum(list_price_cents) from ' ~ of_no_order,
                    'discount_cents': 'select sum(discount_cents) from ' ~ of_no_order,
                },
                'lines of one item in an order summed': {
                    'rows': audit_duplicates(
                        '(select * from ' ~ order_items ~ ' where order_id in ' ~ paid ~ ') as paid_items',
                        'order_id, item_id'
                    ),
                },
            },
        },
    ]) %}
{% endif %}

with counted as (

    {% for source_name, model in counted.items() %}
        select
            '{{ source_name }}' as source_name,
            table_name,
            measure,
            column_name,
            measured_value,
            load_id,
            counted_at
        from {{ ref(model) }}
        {{ 'union all' if not loop.last }}
    {% endfor %}

),

-- Rows that the load set aside, of what the source counted.
quarantined as (

    select
        source_name,
        table_name,
        load_id,
        column_name,
        case when measure = 'quarantined_row_count' then 'row_count' else 'amount_sum' end as measure,
        coalesce(cast(measured_value as decimal(38, 2)), 0) as quarantined_value
    from counted
    where measure in ('quarantined_row_count', 'quarantined_amount_sum')

),

at_source as (

    select
        counted.source_name,
        counted.table_name,
        counted.measure,
        counted.column_name,
        counted.load_id,
        counted.counted_at,
        -- The sum of an empty table is null at the source.
        coalesce(cast(counted.measured_value as decimal(38, 2)), 0) as source_value,
        coalesce(quarantined.quarantined_value, 0) as quarantined_value,
        counted.load_id
        = max(counted.load_id) over (partition by counted.source_name, counted.table_name) as is_latest_load
    from counted
    left join quarantined
        on
            counted.source_name = quarantined.source_name
            and counted.table_name = quarantined.table_name
            and counted.load_id = quarantined.load_id
            and counted.measure = quarantined.measure
            and (counted.column_name is not distinct from quarantined.column_name)
    where counted.measure in ('row_count', 'amount_sum')

),

held as (

    {% for control in controls %}
        {% set raw = source(control.source, control.table) %}
        {% set figures = [('rows', 'count(*)', 'count(*)', 'count(*)')] %}
        {% for column, (staged, published) in control.get('sums', {}).items() %}
            {% do figures.append((
                column,
                'coalesce(sum(cast(' ~ column ~ ' as decimal(18, 2))), 0)',
                'coalesce(sum(' ~ staged ~ '), 0)',
                'coalesce(sum(' ~ published ~ '), 0)',
            )) %}
        {% endfor %}
        {% for figure, of_raw, of_staging, of_mart in figures %}
            {% set reasons = {} %}
            {% for reason, counts in control.get('reasons', {}).items() if figure in counts %}
                {% do reasons.update({reason: '+ coalesce((' ~ counts[figure] ~ '), 0)'}) %}
            {% endfor %}
            select
                '{{ control.source }}' as source_name,
                '{{ control.table }}' as table_name,
                '{{ 'row_count' if figure == 'rows' else 'amount_sum' }}' as measure,
                {% if figure == 'rows' %}
                    cast(null as {{ dbt.type_string() }}) as column_name,
                {% else %}
                    '{{ figure }}' as column_name,
                {% endif %}
                '{{ control.mart }}' as mart_name,
                cast((select {{ of_raw }} from {{ raw }}) as decimal(38, 2)) as raw_value,
                cast((select {{ of_staging }} from {{ ref(control.staging) }}) as decimal(38, 2)) as staging_value,
                cast(
                    (
                        select {{ of_mart }}
                        from {{ ref(control.mart) }}
                        where {{ control.where }}
                    ) as decimal(38, 2)
                ) as mart_value,
                {% if reasons %}
                    '{{ reasons | join('; ') }}' as difference_reason,
                {% else %}
                    cast(null as {{ dbt.type_string() }}) as difference_reason,
                {% endif %}
                cast(0 {{ reasons.values() | join(' ') }} as decimal(38, 2)) as explained_difference
            {{ 'union all' if not loop.last }}
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
        coalesce(at_source.quarantined_value, 0) as quarantined_value,
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
            when (source_value is distinct from raw_value + quarantined_value) then 'differs'
            when (raw_value is distinct from staging_value) then 'differs'
            when (staging_value is distinct from mart_value + explained_difference) then 'differs'
            else 'agrees'
        end as verdict
    from joined

)

select * from final
