-- The unknown member of a dimension has the key that the variable unknown_key names, so no source
-- may use it. A row here is a source's own key that would be taken for 'unknown': choose another
-- unknown_key in dbt_project.yml.
{% set keys = {
    'stg_retail_db__transactions': ['household_id', 'store_id', 'product_id'],
    'stg_retail_db__products': ['product_id'],
    'stg_retail_db__demographics': ['household_id'],
    'stg_retail_db__campaigns': ['campaign_id', 'household_id'],
    'stg_retail_db__campaign_descriptions': ['campaign_id'],
    'stg_retail_db__coupons': ['coupon_upc', 'campaign_id', 'product_id'],
    'stg_retail_db__coupon_redemptions': ['household_id', 'coupon_upc', 'campaign_id'],
    'stg_promotion_feed__promotions': ['product_id', 'store_id'],
} %}
{% for model, columns in keys.items() %}
    select
        '{{ model }}' as model_name,
        count(*) as row_count
    from {{ ref(model) }}
    where {{ var('unknown_key') }} in ({{ columns | join(', ') }})
    having count(*) > 0
    {{ 'union all' if not loop.last }}
{% endfor %}
