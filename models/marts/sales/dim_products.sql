-- Grain: one row a product, and one unknown product.
with products as (

    select * from {{ ref('int_sales__products_identified') }}

),

known as (

    select
        product_id,
        source_system,
        manufacturer_id,
        coalesce(department, 'Unknown') as department,
        coalesce(brand_type, 'Unknown') as brand_type,
        coalesce(product_category, 'Unknown') as product_category,
        coalesce(product_type, 'Unknown') as product_type,
        coalesce(package_size, 'Unknown') as package_size,
        coalesce(brand_type = 'Private', false) as is_private_label,
        is_in_catalog,
        false as is_unknown,
        load_id
    from products

),

unknown as (

    select
        {{ unknown_key() }} as product_id,
        'Unknown' as source_system,
        cast(null as bigint) as manufacturer_id,
        'Unknown' as department,
        'Unknown' as brand_type,
        'Unknown' as product_category,
        'Unknown' as product_type,
        'Unknown' as package_size,
        false as is_private_label,
        false as is_in_catalog,
        true as is_unknown,
        cast(null as {{ dbt.type_string() }}) as load_id

),

final as (

    select * from known
    union all
    select * from unknown

)

select * from final
